use super::*;

#[test]
fn a_secret_is_hidden_wherever_it_stands() {
    let redactor = Redactor::default();
    redactor.hide("p@ss word", "password of alice");
    assert_eq!(redactor.text("x p@ss word y"), "x [password of alice] y");
    assert_eq!(redactor.url("https://a/?next=p%40ss+word"), "https://a/?next=[password of alice]");
}

#[test]
fn tokens_codes_and_cookies_become_digests() {
    let redactor = Redactor::default();
    let url = redactor.url("https://rp/cb?code=abc&state=s&iss=https://op");
    assert!(url.contains("code=[sha256:") && url.contains("state=s") && url.contains("iss=https://op"), "{url}");
    let headers = redactor
        .headers(&[("Set-Cookie".into(), "sid=secret; HttpOnly".into()), ("Authorization".into(), "Bearer abcdef".into())]);
    assert!(headers[0].1.starts_with("sid=[sha256:") && headers[0].1.ends_with("; HttpOnly"));
    assert!(headers[1].1.starts_with("Bearer [sha256:"));
    let body = redactor.body("application/json", r#"{"access_token":"abc","token_type":"Bearer"}"#);
    assert!(!body.contains("abc") && body.contains("Bearer"));
}

#[test]
fn codes_in_the_body_of_a_redirect_become_digests() {
    let redactor = Redactor::default();
    for body in [
        "Redirecting to <a href=\"https://rp/cb?state=s&amp;code=secret-1\">https://rp/cb?code=secret-1&state=s</a>.",
        r#"{"next":"https://rp/cb?state=s\u0026code=secret-1","code_challenge":"x"}"#,
        r#"<script>go("https:\/\/rp\/cb?state=s\u0026code=secret-1")</script>"#,
    ] {
        for media in ["text/html", "text/plain", "application/json"] {
            let shown = redactor.body(media, body);
            assert!(!shown.contains("secret-1") && shown.contains("state=s"), "{media}: {shown}");
        }
    }
    assert_eq!(redactor.text("a = b; code = c, discode=d"), "a = b; code = c, discode=d");
}

#[test]
fn an_id_token_keeps_protocol_claims_and_loses_attributes_and_signature() {
    let enc = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let token = format!("{}.{}.c2ln", enc(r#"{"alg":"ES256"}"#), enc(r#"{"sub":"u1","email":"a@b.c"}"#));
    let shown = Redactor::default().text(&format!("token {token}!"));
    assert!(shown.contains("\"sub\":\"u1\"") && !shown.contains("a@b.c") && !shown.contains("c2ln"), "{shown}");
}

#[test]
fn secrets_in_other_spellings_are_hidden() {
    let redactor = Redactor::default();
    for text in [
        "client_secret=abcdef0123",
        "{\"sessionToken\": \"abcdef0123\"}",
        "{\"refreshTokens\": 1, \"passcode\": [\"abcdef0123\"]}",
        "<input type='hidden' name='x' value='abcdef0123'>",
        "location.replace('https://rp/cb?code=abcdef0123')",
        "-----BEGIN PRIVATE KEY-----\nabcdef0123\n-----END PRIVATE KEY-----",
    ] {
        for media_type in ["application/json", "text/html", "text/plain"] {
            if media_type == "text/plain" && text.starts_with(['{', '<']) {
                continue;
            }
            if media_type == "application/json" && text.starts_with('<') {
                continue;
            }
            assert!(!redactor.body(media_type, text).contains("abcdef0123"), "{media_type}: {text}");
        }
    }
    assert!(!redactor.headers(&[("X-Api-Key".into(), "abcdef0123".into())])[0].1.contains("abcdef"));
    let metadata = r#"{"token_endpoint":"https://op/token","token_endpoint_auth_methods_supported":["private_key_jwt"]}"#;
    let shown = redactor.body("application/json", metadata);
    assert!(shown.contains("https://op/token") && shown.contains("private_key_jwt"), "{shown}");
}

#[test]
fn private_jwk_members_are_not_kept() {
    let body = Redactor::default().body("application/json", r#"{"keys":[{"kty":"EC","d":"0123456789abcdef"}]}"#);
    assert!(!body.contains("0123456789abcdef") && body.contains("\"d\""));
}

#[test]
fn credentials_in_scripts_upper_case_inputs_and_other_places_become_digests() {
    let redactor = Redactor::default();
    let page = concat!(
        r#"<INPUT TYPE="HIDDEN" NAME="refresh_token" VALUE="hidden-value-1">"#,
        r#"<script>s = {"access_token":"hidden-value-2",accessToken: 'x', 'client_secret' : 'hidden-value-3'}; "#,
        r#"h = "Bearer hidden-value-4-long-enough"</script>"#
    );
    let shown = redactor.body("text/html", page);
    assert!(!shown.contains("hidden-value"), "{shown}");
    let shown = redactor.body("text/plain", r#"[{"access_token":"hidden-value-5"}]"#);
    assert!(!shown.contains("hidden-value"), "{shown}");
    let shown = redactor.body("text/html", r#"{"token_type": "Bearer", "label": "kept as it is", "issuer": "https://op"}"#);
    assert!(shown.contains("kept as it is") && shown.contains("https://op") && shown.contains("Bearer"), "{shown}");
    let headers = [
        ("Set-Cookie".to_owned(), "sid=hidden-value-6-long; Path=/".to_owned()),
        ("X-Session-Id".to_owned(), "hidden-value-7".to_owned()),
        ("X-Also".to_owned(), "hidden-value-6-long".to_owned()),
    ];
    let message = redactor.message(&headers, Some(b"<script>c = 'hidden-value-6-long'</script>"));
    assert!(!format!("{message:?}").contains("hidden-value"), "{message:?}");
}
