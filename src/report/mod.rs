//! The report in its formats. `report.json` is the one source; everything here reads the model.
