//! What `init` prints: what to register at the product, and what its metadata lacks at first sight.

use serde_json::Value;

use super::init::Found;
use super::text;
use crate::counterpart::embedded::INITIATE_PATH;
use crate::model::target::ClientAuth;
use crate::report::view::{Style, one_line};
use crate::stage::inbox::ENDPOINTS;

struct Wanted {
    name: &'static str,
    kind: String,
    uris: Vec<String>,
    more: Vec<String>,
}

/// Appends what the operator must register.
pub fn registration(out: &mut String, found: &Found, jwks: &Value, style: Style) {
    out.push_str(&format!("\n{}\n", text::bold(style, "Register these clients at the product")));
    text::paragraph(
        out,
        "For every client: grant type authorization_code (and refresh_token), response type code, PKCE S256 demanded, scope openid. \
         Copy the redirect URIs as they stand; the hosts need no DNS entry.",
        2,
        style,
    );
    let announced = found.metadata.list("id_token_signing_alg_values_supported");
    let alg = ["ES256", "PS256", "EdDSA", "Ed25519"].into_iter().find(|alg| announced.contains(alg)).unwrap_or("ES256");
    for client in wanted(found) {
        out.push_str(&format!("\n  {}\n", text::bold(style, client.name)));
        line(out, "type", &client.kind);
        for uri in &client.uris {
            line(out, "redirect URI", uri);
        }
        line(out, "ID token alg", &format!("{alg} (id_token_signed_response_alg)"));
        for more in &client.more {
            let (name, value) = more.split_once('=').unwrap_or(("", more));
            line(out, name, value);
        }
    }
    out.push_str(&format!("\n{}\n", text::bold(style, "Public keys to register (JWKS)")));
    text::paragraph(
        out,
        "es256 signs client assertions; rs256 is a second key of the client main, to see whether RS256 assertions are refused; enc \
         encrypts ID tokens for the client encrypted. One line, to be copied:",
        2,
        style,
    );
    out.push_str(&format!("{jwks}\n"));
    out.push_str(&format!("\n{}\n", text::bold(style, "Test users")));
    text::paragraph(
        out,
        "Two users that serve no other purpose, with a password and a second factor (one-time codes by an authenticator app, whose secret \
         the suite needs, or a passkey). Allow them to use these clients. Their secrets go into the environment: IPSIE_USER_1_PASSWORD, \
         IPSIE_USER_1_TOTP, IPSIE_USER_2_PASSWORD, IPSIE_USER_2_TOTP.",
        2,
        style,
    );
    out.push_str(&format!("\n{}\n", text::bold(style, "Endpoints of the client main, for SL2")));
    let endpoints: Vec<String> =
        ENDPOINTS.iter().map(|(binding, path)| format!("{binding}: {}{path}", found.counterpart.public_url)).collect();
    text::paragraph(
        out,
        &format!(
            "Where the product sends commands, register them for the client main and name the delivery bindings in target.bindings. The \
             product must reach counterpart.listen under this name, and trust its certificate or a proxy in front of it.\n{}",
            endpoints.join("\n")
        ),
        2,
        style,
    );
}

fn line(out: &mut String, name: &str, value: &str) {
    out.push_str(&format!("    {name:<15} {value}\n"));
}

fn wanted(found: &Found) -> Vec<Wanted> {
    let own = |path: &str| format!("{}{path}", found.counterpart.public_url);
    let (kind, keys, by_key) = match found.auth() {
        ClientAuth::PrivateKeyJwt => ("confidential, private_key_jwt with ES256", "keys=es256", true),
        ClientAuth::ClientSecretPost => {
            ("confidential, client_secret_post", "secret=into the environment, as the target file names it", false)
        }
        _ => ("confidential, client_secret_basic", "secret=into the environment, as the target file names it", false),
    };
    let client = |name, uris: &[String], more: &[&str]| Wanted {
        name,
        kind: kind.to_owned(),
        uris: uris.to_vec(),
        more: more.iter().map(|more| (*more).to_owned()).collect(),
    };
    let main_keys = if by_key { "keys=es256 and rs256" } else { keys };
    let initiate = format!("initiate URI={}", own(INITIATE_PATH));
    let sector = |url: &str| format!("subject type=pairwise, sector {}", url.trim_start_matches("https://"));
    let at = &found.counterpart;
    let mut all = vec![
        client("main", &[own("/cb/a"), own("/cb/b")], &[main_keys, &initiate]),
        client("second", &[own("/cb/second"), own("/cb/a")], &[keys]),
        Wanted {
            name: "public",
            kind: "public (native or browser app), no secret".into(),
            uris: vec![own("/cb/public")],
            more: vec![],
        },
    ];
    let pairwise = found.offers("subject_types_supported", "pairwise");
    let unless =
        |offered: bool| if offered { "" } else { "note=not announced by the metadata; leave it out where the product cannot" };
    let mut optional = |offered: bool, mut client: Wanted| {
        client.more.extend(Some(unless(offered).to_owned()).filter(|note| !note.is_empty()));
        all.push(client);
    };
    optional(pairwise, client("pairwise", &[own("/cb/pairwise")], &[keys, &sector(&at.public_url)]));
    let other = format!("{}/cb/pairwise", at.sector_url);
    optional(pairwise, client("pairwise_other", &[other], &[keys, &sector(&at.sector_url)]));
    let encrypts = !found.metadata.list("id_token_encryption_alg_values_supported").is_empty();
    let encrypted_keys = if by_key { "keys=es256 and enc" } else { "keys=enc" };
    let encryption = "encryption=RSA-OAEP-256 with A256GCM or A128GCM (id_token_encrypted_response_alg, _enc)";
    optional(encrypts, client("encrypted", &[own("/cb/encrypted")], &[encrypted_keys, encryption]));
    all
}

/// Appends what the metadata lacks at first sight.
pub fn hints(out: &mut String, found: &Found, style: Style) {
    let hints = first_sight(found);
    out.push_str(&format!("\n{}\n", text::bold(style, "At first sight of the metadata (hints, no verdicts)")));
    if hints.is_empty() {
        out.push_str("  Nothing is missing.\n");
    }
    for hint in hints {
        let mut lines = text::wrap(&hint, style.columns() - 4).into_iter();
        out.push_str(&format!("  - {}\n", lines.next().unwrap_or_default()));
        for line in lines {
            out.push_str(&format!("    {line}\n"));
        }
    }
}

fn first_sight(found: &Found) -> Vec<String> {
    let metadata = &found.metadata;
    let mut hints = Vec::new();
    let mut hint = |missing: bool, text: String| {
        if missing {
            hints.push(text);
        }
    };
    let named = metadata.get("issuer").unwrap_or_default();
    hint(
        named != found.issuer,
        format!("it names the issuer `{}`, you gave `{}`: one of them must change, to the byte", one_line(named), found.issuer),
    );
    for endpoint in ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"] {
        let url = metadata.get(endpoint).unwrap_or_default();
        hint(url.is_empty(), format!("it names no {endpoint}"));
        hint(url.starts_with("http://"), format!("{endpoint} is not https"));
    }
    let says = |list: &str| {
        let values = metadata.list(list);
        if values.is_empty() { "nothing".into() } else { one_line(&values.join(", ")) }
    };
    let (list, algs) = ("code_challenge_methods_supported", "id_token_signing_alg_values_supported");
    hint(!found.offers(list, "S256"), format!("{list} does not hold S256 (it says {}): PKCE is demanded", says(list)));
    hint(
        !["ES256", "PS256", "EdDSA", "Ed25519"].iter().any(|alg| found.offers(algs, alg)),
        format!(
            "{algs} holds none of ES256, PS256 and EdDSA (it says {}): ID tokens must be signed with one of them",
            says(algs)
        ),
    );
    hint(found.offers(algs, "none"), format!("{algs} holds none"));
    let iss = "authorization_response_iss_parameter_supported";
    hint(metadata.document[iss] != true, format!("{iss} is not true: responses must carry iss (RFC 9207)"));
    let methods = "token_endpoint_auth_methods_supported";
    hint(
        found.announces(methods) && !found.offers(methods, "private_key_jwt"),
        format!(
            "{methods} does not hold private_key_jwt (it says {}): the clauses on client assertions cannot be run",
            says(methods)
        ),
    );
    let responses = "response_types_supported";
    hint(!found.offers(responses, "code"), format!("{responses} does not hold code"));
    let grants = "grant_types_supported";
    hint(found.offers(grants, "password"), format!("{grants} holds password: that grant must be refused"));
    let subjects = "subject_types_supported";
    hint(!found.offers(subjects, "pairwise"), format!("{subjects} does not hold pairwise (it says {})", says(subjects)));
    let dpop = "dpop_signing_alg_values_supported";
    hint(!found.announces(dpop), format!("{dpop} is missing: sender-constrained tokens are not announced"));
    let acr = "acr_values_supported";
    hint(
        !found.announces(acr),
        format!("{acr} is missing: write the classes that mean multi-factor authentication into idp.acr_mfa"),
    );
    let registration = "registration_endpoint";
    hint(metadata.get(registration).is_some(), format!("{registration} is there: it must not be open to everybody"));
    hints
}
