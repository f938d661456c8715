use super::*;
use crate::model::Call;
use crate::stage::oracle::Look;

fn at(account: Option<&str>) -> Attempt {
    Attempt {
        label: "login".into(),
        requests: 1,
        answered: true,
        redeemed: true,
        look: Look { signed_in: account.is_some(), account: account.map(str::to_owned), ..Look::default() },
        cites: vec!["x1".into()],
    }
}

fn pair(one: Option<&str>, two: Option<&str>) -> Option<Pair> {
    let emails = ["one@x.test", "two@x.test"].map(str::to_owned);
    Some(Pair { sub: "alice".into(), one: at(one), two: at(two), emails, name: "Alice A".into() })
}

fn seen() -> Seen {
    Seen { last: true, tenant_declared: true, second_works: Some(at(Some("c"))), ..Seen::default() }
}

#[test]
fn two_tenants_need_two_accounts() {
    for (one, two, call) in [
        (Some("a"), Some("b"), Call::Pass),
        (Some("a"), None, Call::Pass),
        (Some("a"), Some("a"), Call::Broken),
        (Some("alice"), Some("alice"), Call::Undecided),
        // One account may show the address of its last login, and two the same name.
        (Some("one@x.test"), Some("two@x.test"), Call::Undecided),
        (Some("Hello, Alice A"), Some("Hello, Alice A"), Call::Undecided),
        (None, Some("a"), Call::Undecided),
    ] {
        let seen = Seen { tenants: pair(one, two), ..seen() };
        assert_eq!(tenants_have_accounts_of_their_own(&seen).call, call, "{one:?} {two:?}");
    }
    assert_eq!(tenants_have_accounts_of_their_own(&seen()).call, Call::Undecided);
    let uncontrolled = Seen { last: false, tenants: pair(Some("a"), None), ..seen() };
    assert_eq!(tenants_have_accounts_of_their_own(&uncontrolled).call, Call::Undecided);
}

#[test]
fn without_declared_tenants_the_issuer_decides() {
    let shared = Seen { tenant_declared: false, tenants: pair(Some("a"), Some("a")), ..seen() };
    assert_eq!(tenants_have_accounts_of_their_own(&shared).call, Call::Undecided);
    for (second, call) in [(Some("b"), Call::Pass), (Some("a"), Call::Broken)] {
        let seen = Seen { issuers: pair(Some("a"), second), ..shared.clone() };
        assert_eq!(tenants_have_accounts_of_their_own(&seen).call, call);
    }
    let apart = Seen { tenant_declared: false, tenants: pair(Some("a"), Some("b")), ..seen() };
    assert_eq!(tenants_have_accounts_of_their_own(&apart).call, Call::Pass);
}

#[test]
fn a_refusal_at_the_second_issuer_counts_only_when_it_works() {
    let refused = Seen { issuers: pair(Some("a"), None), ..seen() };
    assert_eq!(issuers_have_accounts_of_their_own(&refused).call, Call::Pass);
    let broken = Seen { second_works: Some(at(None)), ..refused };
    assert_eq!(issuers_have_accounts_of_their_own(&broken).call, Call::Undecided);
    let same = Seen { issuers: pair(Some("a"), Some("a")), ..seen() };
    assert_eq!(issuers_have_accounts_of_their_own(&same).call, Call::Broken);
}

fn emails(owner: &str, others: [Option<&str>; 2], moved: &str) -> Call {
    let emails = Emails {
        email: "e@x.test".into(),
        name: "Suite email".into(),
        owner: at(Some(owner)),
        others: others.map(at).into(),
        moved: at(Some(moved)),
    };
    an_email_address_opens_no_account(&Seen { emails: Some(emails), ..seen() }).call
}

#[test]
fn an_email_address_must_not_open_an_account() {
    assert_eq!(emails("a", [Some("b"), Some("c")], "a"), Call::Pass);
    assert_eq!(emails("a", [None, Some("c")], "a"), Call::Pass);
    assert_eq!(emails("a", [Some("b"), Some("a")], "a"), Call::Broken);
    // Accounts found by email alone: the changed address leads elsewhere as well.
    assert_eq!(emails("a", [Some("a"), Some("a")], "d"), Call::Broken);
    assert_eq!(emails("a", [Some("b"), Some("c")], "d"), Call::Undecided);
}

#[test]
fn a_marker_that_shows_address_or_name_decides_nothing() {
    assert_eq!(emails("e@x.test", [Some("e@x.test"), Some("e@x.test")], "moved@x.test"), Call::Undecided);
    assert_eq!(emails("e@x.test", [Some("e@x.test"), Some("b")], "e@x.test"), Call::Broken);
    assert_eq!(emails("Suite email", [Some("Suite other"), Some("Suite third")], "Suite email"), Call::Undecided);
    assert_eq!(an_email_address_opens_no_account(&seen()).call, Call::Undecided);
}
