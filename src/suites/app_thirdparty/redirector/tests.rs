use url::Url;

use super::*;
use crate::model::Call;
use crate::wire::jose::b64;

fn seen(tries: Vec<Try>) -> Seen {
    Seen { held: true, known: true, names: vec!["next".into()], tries }
}

fn one(names: &[&str], reached: bool) -> Try {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    Try { accepted: true, reached, cites: vec!["x1".into()], ..Try::of(At::Start, &names, "//elsewhere") }
}

#[test]
fn being_sent_elsewhere_is_the_finding_and_the_parameter_is_named() {
    let judgement = nothing_forwards_elsewhere(&seen(vec![one(&["a", "b", "next"], true), one(&["next"], true)]));
    assert_eq!(judgement.call, Call::Broken);
    assert!(judgement.reason.starts_with("start URL: next = //elsewhere") && !judgement.reason.contains("a, b"));
    assert_eq!(nothing_forwards_elsewhere(&seen(vec![one(&["next"], false)])).call, Call::Pass);
}

#[test]
fn without_controls_known_parameters_or_answers_nothing_is_decided() {
    let safe = || vec![one(&["next"], false)];
    let lost = Seen { held: false, ..seen(safe()) };
    let unknown = Seen { known: false, ..seen(safe()) };
    let silent = seen(vec![Try { unclear: Some("status 503".into()), ..one(&["next"], false) }]);
    for undecided in [lost, unknown, silent, Seen::default()] {
        assert_eq!(nothing_forwards_elsewhere(&undecided).call, Call::Undecided);
    }
    let caught = Seen { held: false, ..seen(vec![one(&["next"], true)]) };
    assert_eq!(nothing_forwards_elsewhere(&caught).call, Call::Broken);
}

#[test]
fn the_url_is_put_into_states_of_several_makes() {
    let of = |state: &str, which| {
        let url = with("https://app.test/cb", &[("code", "c"), ("state", state)]);
        let forged = Url::parse(&forged(&url, which, "//elsewhere")?).ok()?;
        forged.query_pairs().find(|(name, _)| name == "state").map(|(_, value)| value.into_owned())
    };
    assert_eq!(of("random", 0).unwrap(), "//elsewhere");
    assert_eq!(of("random", 1), None);
    assert_eq!(of(&b64(r#"{"returnTo":"/protected","n":1}"#), 1).unwrap(), b64(r#"{"returnTo":"//elsewhere","n":1}"#));
    assert_eq!(of("abc:/protected", 2).unwrap(), "abc://elsewhere");
    assert_eq!(of("random", 2), None);
}
