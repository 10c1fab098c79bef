"""CLAIM, the Checklist for Artificial Intelligence in Medical Imaging, in its update of 2024: all 44 items.

Numbers and order are those of Tejani, Klontzas, Gatti, Mongan, Moy, Park, Kahn and the panel, Radiology: Artificial
Intelligence 2024;6(4):e240300, which is under CC BY 4.0; what each asks for is said here in hilum's few words.
"""

from __future__ import annotations

from hilum.evaluation.journal.checklist import Checklist, Item

CLAIM = Checklist(
    "CLAIM 2024",
    "Tejani et al. 2024, doi:10.1148/ryai.240300",
    [
        Item("1", "AI methodology named, with its category", ("technology",), "the title and abstract that say so"),
        Item(
            "2", "Summary of design, methods, results, conclusions", ("headline",), "the abstract around these figures"
        ),
        Item(
            "3",
            "Background, intended use, role of the AI",
            ("use",),
            "the clinical background, and who would use it when",
        ),
        Item("4", "Aims, objectives, hypotheses", (), "what was to be found out, fixed before the films were judged"),
        Item("5", "Prospective or retrospective", (), "whether the films were collected before the study was planned"),
        Item("6", "Study goal", (), "e.g. development, feasibility, or test of a model on new films"),
        Item("7", "Data sources", ("sources", "terms"), "hospitals, devices and dates behind these sources"),
        Item("8", "Inclusion and exclusion criteria", ("left out",), "by what criteria films came into the sources"),
        Item("9", "Preprocessing", ("preprocessing",)),
        Item(
            "10",
            "Selection of data subsets",
            ("subset",),
            "why these films and no others, if any were left aside before",
        ),
        Item("11", "De-identification", ("anonymous",), "how and by whom the films were de-identified"),
        Item("12", "Missing data", ("missing",), "why they are missing, if you know"),
        Item("13", "Image acquisition protocol", ("acquisition",), "devices, exposure and positions"),
        Item(
            "14", "How the reference standard was obtained", ("reference",), "who gave these labels, by what definition"
        ),
        Item("15", "Why this reference standard", (), "why labels of this kind stand for pneumonia here"),
        Item("16", "Source of the reference annotations", ("sources",), "number and training of the readers"),
        Item(
            "17", "Annotation of the test set", ("boxes known",), "whether the test films were annotated as the others"
        ),
        Item("18", "Variability between and within raters", (), "agreement of the readers, or that it is not known"),
        Item(
            "19", "How data were assigned to partitions", ("partitions",), "by what rule, if hilum did not split them"
        ),
        Item("20", "Level at which partitions are disjoint", ("disjoint",)),
        Item("21", "Intended sample size", ("sample size",), "the size you aimed at and why; this is what it came to"),
        Item("22", "Description of the model", ("model", "threshold")),
        Item("23", "Software libraries, frameworks, packages", ("software",)),
        Item("24", "Initialization of parameters", ("initialization",)),
        Item("25", "Training approach", ("training",)),
        Item("26", "How the final model was selected", ("selection",)),
        Item("27", "Ensembling", ("ensembling",)),
        Item("28", "Metrics of performance", ("metrics",)),
        Item("29", "Measures of significance and uncertainty", ("statistics",)),
        Item(
            "30",
            "Robustness or sensitivity analysis",
            ("robustness",),
            otherwise="none yet; run hilum robustness on these films",
        ),
        Item("31", "Explainability or interpretability", ("explained",)),
        Item("32", "Evaluation on internal data", ("same source", "validated")),
        Item(
            "33", "Testing on external data", ("other source",), "whether these films are external to the training data"
        ),
        Item("34", "Clinical trial registration", (), "the registration, or that there is none"),
        Item("35", "Numbers included and excluded, as a flow diagram", ("flow",)),
        Item("36", "Demographic and clinical characteristics", ("characteristics",), "what the manifest does not hold"),
        Item("37", "Performance metrics and their uncertainty", ("performance",)),
        Item("38", "Diagnostic performance and its precision", ("diagnostic",)),
        Item("39", "Failure analysis", ("failures",), "what a radiologist sees in these films"),
        Item("40", "Limitations", ("limits", "cautions"), "those of your study"),
        Item("41", "Implications for practice", ("use",), "what follows for practice"),
        Item("42", "Study protocol or technical details", ("technical",), "the protocol, or that there is none"),
        Item(
            "43", "Availability of software, model, data", ("software", "identity"), "where others find model and data"
        ),
        Item("44", "Funding and role of funders", (), "who paid, and whether they had a say"),
    ],
)
