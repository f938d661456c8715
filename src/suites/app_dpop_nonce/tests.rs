use super::*;
use crate::model::Call;
use crate::stage::oracle::Look;

fn sent(nonce: Option<&str>, demanded: Option<&str>) -> Sent {
    let status = if demanded.is_some() { 400 } else { 200 };
    let (nonce, demanded) = (nonce.map(str::to_owned), demanded.map(str::to_owned));
    Sent { proof: true, nonce, demanded, fresh: true, same: true, status, exchange: "x1".into() }
}

fn login(signed_in: bool, token: Vec<Sent>, userinfo: Vec<Sent>) -> Login {
    let look = Look { signed_in, ..Look::default() };
    Login {
        attempt: Attempt { requests: 1, answered: true, redeemed: true, look, ..Attempt::default() },
        given: String::new(),
        token,
        userinfo,
    }
}

fn good() -> Seen {
    let one = || vec![sent(None, None)];
    let repeated = |what: &str, had: Option<&str>| vec![sent(had, Some(what)), sent(Some(what), None)];
    Seen {
        held: true,
        plain: login(true, one(), one()),
        first: login(true, repeated("token-1", None), one()),
        next: Login { given: "token-2".into(), ..login(true, vec![sent(Some("token-2"), None)], one()) },
        resource: login(true, vec![sent(Some("token-3"), None)], repeated("userinfo-1", None)),
    }
}

#[test]
fn a_request_repeated_with_the_nonce_passes() {
    assert_eq!(
        the_token_request_is_repeated(&good()),
        Judgement {
            cites: vec!["x1".into()],
            ..Judgement::pass(
                "the token request is repeated with the nonce demanded, and the next login uses the nonce given last"
            )
        }
    );
    assert_eq!(the_userinfo_request_is_repeated(&good()).call, Call::Pass);
    let mut forgetful = good();
    forgetful.next.token = vec![sent(None, Some("token-2")), sent(Some("token-2"), None)];
    assert_eq!(the_token_request_is_repeated(&forgetful).call, Call::Pass);
}

#[test]
fn giving_up_is_a_finding_only_between_controls() {
    let mut seen = good();
    seen.first = login(false, vec![sent(None, Some("token-1"))], Vec::new());
    assert_eq!(the_token_request_is_repeated(&seen).call, Call::Broken);
    let mut seen = good();
    seen.first = login(false, vec![sent(None, Some("token-1")), sent(Some("token-1"), None)], Vec::new());
    seen.held = false;
    assert_eq!(the_token_request_is_repeated(&seen).call, Call::Undecided);
}

#[test]
fn an_unchanged_proof_and_an_old_nonce_are_findings() {
    let mut seen = good();
    seen.first.token[1].fresh = false;
    assert_eq!(the_token_request_is_repeated(&seen).call, Call::Broken);
    let mut seen = good();
    seen.next.token = vec![sent(Some("token-1"), Some("token-2")), sent(Some("token-2"), None)];
    assert_eq!(the_token_request_is_repeated(&seen).call, Call::Broken);
}

#[test]
fn one_nonce_for_all_servers_is_a_finding_at_userinfo() {
    let mut seen = good();
    seen.resource.userinfo[0].nonce = Some("token-3".into());
    assert_eq!(the_userinfo_request_is_repeated(&seen).call, Call::Broken);
    assert_eq!(the_token_request_is_repeated(&seen).call, Call::Pass);
}

#[test]
fn who_makes_no_resource_requests_is_not_concerned() {
    let bare = vec![Sent::default()];
    let seen = Seen { plain: login(true, bare.clone(), Vec::new()), ..Seen::default() };
    assert_eq!(the_token_request_is_repeated(&seen).call, Call::NotApplicable);
    assert_eq!(the_userinfo_request_is_repeated(&seen).call, Call::NotApplicable);
    let seen = Seen { plain: login(true, bare.clone(), bare), ..Seen::default() };
    assert_eq!(the_token_request_is_repeated(&seen).call, Call::Undecided);
    assert_eq!(the_userinfo_request_is_repeated(&seen).call, Call::Undecided);
    assert_eq!(the_token_request_is_repeated(&Seen::default()).call, Call::Undecided);
}
