"""What a study's tables, figures, answers and page depend on besides their files: a method a stage (see `specs.py`)."""

from __future__ import annotations

from typing import Any

from polyprune.grammar.reports import DRAWINGS, TABLES
from polyprune.settings.config import Settings
from polyprune.workflow.by_place import ByPlace, of_study
from polyprune.workflow.made_with import MadeWith
from polyprune.workflow.spec_values import (
    benchmarks_of,
    name_in_figure,
    page_of_study,
    shares_of_training,
    spec,
    titles_of,
    titles_of_study,
    with_digest,
)


class StudySpecs:
    """Of `Specs`, the stages that take a study's results together."""

    settings: Settings
    made_with: MadeWith
    by_place: ByPlace

    # Tables and figures.

    def tabulate(self, study: str, table: str) -> str:
        entry, cells = self.settings.studies[study].tables[table], self.settings.studies[study].cells(table)
        kind = TABLES[entry.report]
        made_with = self.by_place.of_report(study, table, kind)
        return spec(
            "tabulate",
            {},
            f"report/tables/{kind.module}.py",
            module=kind.module,
            table=entry.model_dump(mode="json", exclude={"grids"}),
            titles=titles_of(self.settings, cells, entry.benchmarks),
            **with_digest(made_with),
        )

    def plot_figure(self, study: str, figure: str) -> str:
        entry, cells = self.settings.studies[study].figures[figure], self.settings.studies[study].cells(figure)
        kind = DRAWINGS[entry.draws]
        sequences = self.settings.models[cells[0].model].text.calibration_sequences
        own = {"sequences": sequences} if "sequences" in kind.settings else {}
        return spec(
            "plot_figure",
            {},
            f"report/figures/{kind.module}.py",
            module=kind.module,
            figure=entry.model_dump(mode="json", include={"title", "draws", *kind.settings}) | own,
            names=name_in_figure(self.settings, cells, kind),
            **with_digest(self.by_place.of_report(study, figure, kind)),
        )

    # Answers and the paper.

    def answer_question(self, study: str) -> str:
        cells, asked = self.settings.studies[study].all_cells(), benchmarks_of(self.settings, study)
        return spec(
            "answer_question",
            {},
            title=f"The best calibration, study {study}",
            titles=titles_of_study(self.settings, study),
            **with_digest(self.by_place.dumps(cells) | self.by_place.evaluations(cells, asked)),
        )

    def compare_with_paper(self, study: str) -> str:
        titles = titles_of_study(self.settings, study)
        return spec("compare_with_paper", {}, title=f"study {study}", titles=titles, made_with=self._tables(study))

    def tabulate_claims(self, study: str) -> str:
        titles = titles_of_study(self.settings, study)
        made_with = with_digest(self._tables(study))
        return spec("tabulate_claims", {}, title=f"study {study}", titles=titles, **made_with)

    def explain_damage(self, study: str) -> str:
        cells, asked = self.settings.studies[study].all_cells(), benchmarks_of(self.settings, study)
        models = dict.fromkeys(cell.model for cell in cells)
        made_with = self.by_place.scores(cells) | self.by_place.prompts(models)
        return spec(
            "explain_damage",
            {},
            shares=shares_of_training(self.settings, models),
            title=f"Why, in study {study}",
            titles=titles_of_study(self.settings, study),
            made_with=made_with | self.by_place.evaluations(cells, asked),
        )

    def write_report(self, study: str) -> str:
        entry = self.settings.studies[study]
        made = {f"{table}.json": self.tabulate(study, table) for table in entry.tables}
        made |= {f"{figure}.png": self.plot_figure(study, figure) for figure in entry.figures}
        made["best_calibration.parquet"] = self.answer_question(study)
        made["claims.parquet"] = self.tabulate_claims(study)
        parts = [f"report/page/page.{kind}" for kind in ("html", "css", "js")]
        return spec(
            "write_report",
            {},
            *parts,
            study=page_of_study(self.settings, study),
            inputs=self.made_with.of_page(entry.all_cells()),
            made_with=of_study(study, made),
        )

    def _tables(self, study: str) -> dict[str, Any]:
        tables = self.settings.studies[study].tables
        return of_study(study, {f"{table}.parquet": self.tabulate(study, table) for table in tables})
