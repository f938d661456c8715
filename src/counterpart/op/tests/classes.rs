//! Classes of authentication, and what an administrator's revocation leaves behind.

use super::*;

const HARDWARE: &str = "urn:ipsie-conform:acr:hardware";

fn essential(acr: &str) -> String {
    json!({"id_token": {"acr": {"essential": true, "values": [acr]}}}).to_string()
}

async fn claims(world: &World, code: &str) -> Value {
    let tokens = world.redeem("suite-main", CALLBACK, code).await.json();
    jose::read(tokens["id_token"].as_str().unwrap()).unwrap().claims
}

#[tokio::test]
async fn a_session_is_stepped_up_by_the_second_authenticator_only() {
    let world = world(&[]).await;
    let first = world.sign_in(&world.authorize(&[]).await).await;
    assert_eq!(claims(&world, &first.parameter("code").unwrap()).await["acr"], "urn:ipsie-conform:acr:mfa");
    for changes in [&[("prompt", "none"), ("acr_values", HARDWARE)][..], &[("prompt", "none"), ("claims", &essential(HARDWARE))]]
    {
        assert_eq!(world.authorize(changes).await.parameter("error").unwrap(), "interaction_required");
    }
    let unknown = world.authorize(&[("claims", &essential("urn:nobody"))]).await;
    assert_eq!(unknown.parameter("error").unwrap(), "unmet_authentication_requirements");
    assert!(world.authorize(&[("acr_values", "urn:nobody")]).await.parameter("code").is_some());

    let asked = world.authorize(&[("acr_values", HARDWARE)]).await;
    assert!(asked.header("location").contains("/login/hardware?return_to="));
    let page = world.get(asked.header("location").strip_prefix(ISSUER).unwrap()).await;
    let (csrf, back) = (page.hidden("csrf"), page.hidden("return_to"));
    let wrong = [("csrf", csrf.as_str()), ("return_to", &back), ("code", "000000")];
    assert_eq!(world.post("/login/hardware", &wrong).await.status, 200);
    let secret = &world.embedded.secrets["embedded:alice-hardware"];
    let code = totp::code(secret, world.now() / totp::STEP_S).unwrap();
    let right = [("csrf", csrf.as_str()), ("return_to", &back), ("code", &code)];
    let done = world.post("/login/hardware", &right).await;
    let answer = world.get(done.header("location").strip_prefix(ISSUER).unwrap()).await;
    let after = claims(&world, &answer.parameter("code").unwrap()).await;
    assert_eq!((&after["acr"], &after["amr"]), (&json!(HARDWARE), &json!(["pwd", "otp", "hwk", "mfa"])));

    assert_eq!(world.hook("revoke-user-sessions", json!({"user": "alice"})).await.status, 200);
    assert_eq!(world.authorize(&[("prompt", "none")]).await.parameter("error").unwrap(), "login_required");
}

#[tokio::test]
async fn a_step_up_that_is_cancelled_leaves_the_session_as_it_was() {
    let world = world(&[]).await;
    world.sign_in(&world.authorize(&[]).await).await;
    let asked = world.authorize(&[("acr_values", HARDWARE)]).await;
    let page = world.get(asked.header("location").strip_prefix(ISSUER).unwrap()).await;
    let (csrf, back) = (page.hidden("csrf"), page.hidden("return_to"));
    let cancelled = world.post("/login/hardware", &[("csrf", &csrf), ("return_to", &back), ("cancel", "1")]).await;
    assert_eq!(cancelled.parameter("error").unwrap(), "access_denied");
    let code = world.code(&[]).await;
    assert_eq!(claims(&world, &code).await["acr"], "urn:ipsie-conform:acr:mfa");
}
