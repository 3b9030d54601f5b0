"""Sources of text: generated (`from_demo`), your own files (`from_files`), the hub (`from_hub`).

Each of these modules gives `split_documents(corpus, language)`, texts by split, and `parallel_prompts(prompts,
language)`, prompts that are the same in every language; both with what is to be noted of where they came from.
"""
