"""TRIPOD+AI, for studies that develop or evaluate a prediction model: all 52 items under its 27 numbers.

Numbers and order are those of Collins et al., BMJ 2024;385:e078378, which is under CC BY 4.0; what each asks for is
said here in hilum's few words.
"""

from __future__ import annotations

from hilum.evaluation.journal.checklist import Checklist, Item

TRIPOD = Checklist(
    "TRIPOD+AI",
    "Collins et al. 2024, doi:10.1136/bmj-2023-078378",
    [
        Item("1", "Title: development or evaluation, population, outcome", (), "the title"),
        Item("2", "Abstract, by the list for abstracts", ("headline",), "the abstract around these figures"),
        Item("3a", "Healthcare context and rationale", (), "why such a model, beside those that exist"),
        Item("3b", "Target population and intended purpose", ("use",), "on whom, by whom and when it would be used"),
        Item("3c", "Known health inequalities", (), "between groups of the population"),
        Item("4", "Objectives", (), "development, evaluation, or both"),
        Item(
            "5a", "Sources of data, for development and evaluation", ("sources", "terms"), "how representative they are"
        ),
        Item("5b", "Dates of the data", (), "first and last date of the films; hilum keeps no dates"),
        Item("6a", "Setting: kind, number and place of centers", (), "the hospitals"),
        Item("6b", "Eligibility criteria", ("left out",), "by what criteria films came into the sources"),
        Item("6c", "Treatments", (), "whether patients were treated before the film"),
        Item("7", "Preparation and quality checks of data", ("preprocessing", "gate")),
        Item("8a", "Definition of the outcome", ("reference",), "how and when pneumonia was established"),
        Item("8b", "Qualifications of outcome assessors", (), "who read the films, if labels are readings"),
        Item("8c", "Blinding of outcome assessment", (), "whether readers knew other findings or the model's"),
        Item("9a", "Choice of predictors", ("predictors",)),
        Item("9b", "Definition of predictors", ("predictors", "acquisition")),
        Item("9c", "Assessors of predictors", ("no assessor",)),
        Item("10", "Sample size", ("sample size",), "how the size was arrived at"),
        Item("11", "Missing data", ("missing",), "why they are missing, if you know"),
        Item("12a", "How data were used and partitioned", ("partitions", "disjoint")),
        Item("12b", "Handling of predictors", ("preprocessing",)),
        Item("12c", "Type of model, building, tuning, internal validation", ("model", "training", "selection")),
        Item("12d", "Heterogeneity across clusters", ("clusters",)),
        Item("12e", "Measures and plots of performance", ("metrics", "statistics")),
        Item("12f", "Updating of the model", ("not updated",)),
        Item("12g", "How predictions were calculated", ("technical",)),
        Item("13", "Class imbalance", ("imbalance", "calibration")),
        Item("14", "Fairness", ("parts",), "what you did for fairness, and why"),
        Item("15", "Output of the model, thresholds", ("output", "threshold")),
        Item(
            "16", "Differences of development and evaluation data", ("characteristics",), "of setting and eligibility"
        ),
        Item("17", "Ethical approval and consent", (), "the committee and its decision"),
        Item("18a", "Funding", (), "who paid, and whether they had a say"),
        Item("18b", "Conflicts of interest", (), "of all authors"),
        Item("18c", "Protocol", (), "where it is, or that there is none"),
        Item("18d", "Registration", (), "register and number, or that there is none"),
        Item("18e", "Availability of data", ("terms", "identity"), "where others find the films"),
        Item("18f", "Availability of code", ("software", "technical"), "where others find code of your own"),
        Item("19", "Involvement of patients and public", (), "what it was, or that there was none"),
        Item("20a", "Flow of participants", ("flow",)),
        Item("20b", "Characteristics of participants", ("characteristics", "missing"), "dates and treatments"),
        Item("20c", "Comparison with the development data", ("characteristics",)),
        Item("21", "Participants and events in each analysis", ("partitions", "flow")),
        Item("22", "The full model", ("identity", "model"), "where others find it, and on what terms"),
        Item("23a", "Performance with intervals, also of subgroups", ("performance", "parts")),
        Item("23b", "Heterogeneity of performance across clusters", ("clusters",)),
        Item("24", "Results of updating", ("not updated",)),
        Item("25", "Interpretation", ("headline",), "what the figures mean, also for fairness"),
        Item("26", "Limitations", ("limits", "cautions"), "those of your study"),
        Item("27a", "Poor or unavailable input", ("gate",)),
        Item("27b", "Interaction and expertise of users", (), "what a user must do and know"),
        Item("27c", "Next steps", (), "what should be studied next"),
    ],
)
