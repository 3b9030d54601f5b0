"""What each kind of table and figure shows, and what it does not, in a sentence each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    shows: str
    not_shows: str


UNKNOWN = Explanation("What its caption says.", "More than its caption says.")
"""Of a kind that this page does not know yet."""
TABLES = {
    "drift": Explanation(
        "How well a compressed model keeps the dense model's predictions (perplexity) and hidden states (SNR, pruning "
        "error) on held-out text of each language, by the language of the calibration text.",
        "Whether the model still solves tasks: a better perplexity need not be a better accuracy. Perplexities of two "
        "languages, or of two models, are on different scales; compare within a column.",
    ),
    "benchmarks": Explanation(
        "Scores on questions of each language, by the language of the calibration text.",
        "Differences smaller than what can be told apart are no findings: they are as light as the best. A score near "
        "chance says nothing of calibration, and translated questions measure the translation, too.",
    ),
    "mask_iou": Explanation(
        "How much it depends on the draw of the calibration text which weights, or experts, are removed: the overlap "
        "of masks of several seeds in one language.",
        "Whether another mask is a worse one: two masks that overlap little can be equally good.",
    ),
    "mask_iou_languages": Explanation(
        "How much it depends on the language of the calibration text which weights, or experts, are removed: the "
        "overlap between languages.",
        "Whether another mask is a worse one. Compare with the overlap of seeds of one language, which is the noise.",
    ),
    "same_masks": Explanation(
        "Whether checkpoints of others remove the weights that are removed here, and so whether they were calibrated "
        "on the same text: in the first layer, equal texts leave rounding alone to differ.",
        "Which of two different masks is the better one.",
    ),
    "routing": Explanation(
        "How much of the dense model's routing to experts compression keeps in each language, by calibration language, "
        "and how alike languages are routed before and after.",
        "Whether another routing is a worse one: experts may be able to stand in for one another.",
    ),
}
_SHIFT = "How far compression moves hidden states in the subspaces of LSAR that languages share or do not share."
_NO_CAUSE = "What causes a change: the figures describe hidden states, and nothing was intervened on."
_NEURONS = "Which neurons answer to one language (LAPE) before and after compression."
FIGURES = {
    "mask_iou": Explanation(
        "The overlap of masks matrix by matrix and layer by layer.",
        "Whether another mask is a worse one. The two sides have a scale each.",
    ),
    "token_shift": Explanation(_SHIFT, _NO_CAUSE),
    "prompt_shift": Explanation(_SHIFT, _NO_CAUSE),
    "agnostic_shift": Explanation(
        "How far compression moves what languages share.", f"{_NO_CAUSE} Panels have scales of their own."
    ),
    "specific_shift": Explanation(
        "How far compression moves what is a language's own.", f"{_NO_CAUSE} Panels have scales of their own."
    ),
    "shift_overview": Explanation(_SHIFT, _NO_CAUSE),
    "shift_controls": Explanation(
        "The same changes with other subspaces, a random one among them.",
        "An effect that the random subspace has as well is none of language.",
    ),
    "neuron_overview": Explanation(_NEURONS, _NO_CAUSE),
    "neuron_entropy": Explanation(_NEURONS, _NO_CAUSE),
    "neuron_probability": Explanation(
        "How often neurons of the dense model are active, by language.", "Anything about compression."
    ),
    "neuron_output": Explanation(
        "How much neurons of the dense model add to the output, by language.", "Anything about compression."
    ),
    "routing_shares": Explanation(
        "Which experts each language's tokens are sent to, layer by layer, before and after compression.",
        "What an expert does: a share says how often it is asked, not how much depends on its answer.",
    ),
    "routing_overlap": Explanation(
        "How alike languages are routed, and how much of a language's routing compression keeps, layer by layer.",
        "Whether another routing is a worse one: experts may be able to stand in for one another.",
    ),
    "activation_ranges": Explanation(
        "How wide the inputs of the dense model's matrices range in each language, and whether the features that are "
        "largest in one language, which AWQ protects, are so in others.",
        "That a wider range makes a language lose more: that is for the tables of quantised models to say.",
    ),
    "over_budget": Explanation(
        "Perplexity of each language by the amount of calibration text.",
        "What other text would do: larger amounts begin with the smaller ones' text. Bars are seeds, no interval.",
    ),
    "over_dose": Explanation(
        "Perplexity of each language by its share of the calibration text.",
        "What a share does with another language or another amount of text. Bars are seeds, no interval.",
    ),
    "over_sparsity": Explanation(
        "How much worse calibrating in another language is than in the language itself, by sparsity.",
        "How good a cell is: where both are bad their ratio may be 1. Bars are seeds, no interval.",
    ),
    "mean_activations": Explanation(
        "Mean outputs of a matrix, channel by channel, before and after compression, in the calibration language.",
        "Whether a change of a channel matters for what the model says.",
    ),
}
TRAINED = (
    "Models of this study were trained here, in minutes, and are tiny. Their numbers show that everything works and "
    "say nothing of large models, nor of the methods beside one another."
)
