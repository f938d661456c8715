//! The report in its formats. `report.json` is the one source; everything here reads the model.

pub mod har;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod sequence;
pub mod terminal;
pub mod view;
