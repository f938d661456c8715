//! The examples in `ci/gates/` are right.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use ipsie_conform::baseline::Baseline;
use ipsie_conform::catalogue::Catalogue;

#[test]
fn baseline_example_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/gates/baseline.toml");
    Baseline::load(&path, &Catalogue::embedded().unwrap()).unwrap();
}
