//! The reference application at the reference identity service: a user signs in at real login pages.

use super::*;
use crate::counterpart::op::{OpConfig, OpUser, ReferenceOp, RegisteredClient, totp};

const IDP: &str = "https://idp.ipsie-conform.test";
const TOTP: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

fn hidden(page: &Answer, name: &str) -> String {
    let rest = page.body.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{}", page.body)).1;
    rest.split_once('"').unwrap().0.replace("&amp;", "&")
}

#[tokio::test]
async fn a_user_signs_in_and_the_session_is_renewed_by_refresh_token() {
    let ca = Arc::new(TestCa::new("test ca").unwrap());
    let jwks = json!({"keys": [keys().signing.jwk(), keys().encryption.jwk()]});
    let client = |id: &str| RegisteredClient {
        id: id.into(),
        redirect_uris: vec![format!("https://{HOST}/callback")],
        jwks: jwks.clone(),
        encrypt_id_token: true,
        ..RegisteredClient::default()
    };
    let user = OpUser {
        name: "alice".into(),
        password: "a password".into(),
        totp: TOTP.into(),
        reusable_codes: true,
        ..OpUser::default()
    };
    let op = ReferenceOp::start(OpConfig {
        listen: "127.0.0.1:0".into(),
        issuer: IDP.into(),
        clients: vec![client(CLIENT_ID)],
        users: vec![user],
        twists: Vec::new(),
        ca: ca.clone(),
        hook_token: random(9),
    })
    .await
    .unwrap();
    let [idp_host, api_host] = op.hosts();
    let whom = ProviderFor {
        roots: vec![ca.der().to_vec()],
        resolve: vec![(format!("{idp_host}:443"), op.addr), (format!("{api_host}:443"), op.addr)],
        ..ProviderFor::new(IDP, None)
    };
    let embedded = embedded_app("127.0.0.1:0", ca.clone(), keys(), &whom, &[]).await.unwrap();
    let http = super::client(&ca, &[(HOST, embedded.app.addr), (&idp_host, op.addr)]);
    // One jar per site.
    let (own, idp) = (Browser::default(), Browser::default());
    let get = |jar: &Browser, url: String| {
        let (jar, http) = (jar.clone(), http.clone());
        async move { send(&jar, http.get(url)).await }
    };

    let start = get(&own, format!("https://{HOST}/protected")).await;
    assert!(start.header("location").starts_with(&format!("{IDP}/authorize?")));
    let to_login = get(&idp, start.header("location").to_owned()).await;
    let page = get(&idp, to_login.header("location").to_owned()).await;
    let form = [
        ("csrf", hidden(&page, "csrf")),
        ("return_to", hidden(&page, "return_to")),
        ("username", "alice".into()),
        ("password", "a password".into()),
    ];
    let next = send(&idp, http.post(format!("{IDP}/login")).form(&form)).await;
    let absolute = |place: &str| if place.starts_with('/') { format!("{IDP}{place}") } else { place.to_owned() };
    let page = get(&idp, absolute(next.header("location"))).await;
    let code = totp::code(TOTP, Timestamp::now().as_second() / totp::STEP_S).unwrap();
    let form = [("csrf", hidden(&page, "csrf")), ("return_to", hidden(&page, "return_to")), ("code", code)];
    let mut step = send(&idp, http.post(format!("{IDP}/login/code")).form(&form)).await;
    while absolute(step.header("location")).starts_with(IDP) {
        step = get(&idp, absolute(step.header("location"))).await;
    }
    let back = step.header("location").to_owned();
    assert!(back.starts_with(&format!("https://{HOST}/callback?code=")), "{} {}", step.status, step.body);
    let done = get(&own, back).await;
    assert_eq!(done.header("location"), format!("https://{HOST}/protected"), "{}", done.body);
    let account = get(&own, format!("https://{HOST}/protected")).await.text_of("account").unwrap();

    // The service gives sessions of an hour; it renews them as long as it likes.
    embedded.app.advance(3700);
    op.advance(3700);
    let page = get(&own, format!("https://{HOST}/protected")).await;
    assert_eq!(page.text_of("account"), Some(account), "{} {}", page.status, page.body);
}
