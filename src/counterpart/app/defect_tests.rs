//! Every executable clause of the application has one departure of the reference application.

use super::*;
use crate::catalogue::Catalogue;
use crate::counterpart::scim_server::Quirk;
use crate::model::{Clause, How, Role};
use std::collections::HashSet;

/// Clauses by their ids without `@binding`, of those that `likes` takes.
fn executable(likes: impl Fn(&Clause) -> bool) -> HashSet<String> {
    let catalogue = Catalogue::embedded().unwrap();
    let clauses = catalogue.clauses.iter().filter(|clause| clause.role == Role::App && clause.how != How::Attested);
    clauses.filter(|clause| likes(clause)).map(|clause| clause.base().to_owned()).collect()
}

fn accounts(clause: &Clause) -> bool {
    clause.base().starts_with("al")
}

#[test]
fn every_executable_clause_has_one_defect_and_is_found_by_its_id() {
    // Of a later edition than the one the matrix is made by; ReauthBeforePage breaks it as well.
    let later = "sl2.app.new-assertion-demanded";
    let own = ["cross", "app-surface", "oidc"];
    let expected = executable(|clause| {
        let sessions = !accounts(clause) && clause.binding != "ssf-caep" && clause.base() != later;
        sessions || (accounts(clause) && own.contains(&clause.binding.as_str()))
    });
    let commands = executable(|clause| accounts(clause) && clause.binding == "op-commands");
    let all: Vec<&str> = Defect::ALL.iter().map(|defect| defect.clause()).collect();
    let ours: HashSet<String> = all.iter().map(|id| (*id).to_owned()).filter(|id| !commands.contains(id)).collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert_eq!(ours, expected);
    assert_eq!(Defect::for_clause("sl2.app.reauth-before-page@op-commands"), Some(Defect::ReauthBeforePage));
    assert_eq!(Defect::for_clause("sl1.app.account-linking-off"), None);
}

#[test]
fn every_executable_clause_of_scim_and_its_tokens_has_one_quirk() {
    let bindings = ["scim", "scim-oauth", "ipsie-common"];
    let expected = executable(|clause| accounts(clause) && bindings.contains(&clause.binding.as_str()));
    let ours: HashSet<String> = Quirk::ALL.iter().map(|quirk| quirk.clause().to_owned()).collect();
    assert_eq!(ours, expected);
}
