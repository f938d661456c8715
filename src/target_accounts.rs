//! What a target file says of accounts, checked: `[scim]`, `[provisioning]`, `[lifecycle]`, `[accounts]` and `[commands]`.

use crate::catalogue::nearest;
use crate::error::Error;
use crate::model::Role;
use crate::model::target::{Scim, ScimAuth, Surface, Target};
use crate::target_file::Source;

/// Scripts that may stand under `[accounts.surface]`.
const SURFACES: [&str; 9] = [
    "local-user-create",
    "local-profile-edit",
    "local-user-delete",
    "local-group-edit",
    "local-role-edit",
    "signup",
    "local-login",
    "password-reset",
    "role-catalogue",
];
/// Seconds of the longest provisioning cycle.
const LONGEST_CYCLE_S: u64 = 86_400;
const WHOLE_URL: &str = "Write the whole URL, with https; http is allowed on loopback only.";

/// Every mistake that can be told before anything is sent.
pub fn check(source: &Source<'_>, target: &Target) -> Result<(), Error> {
    if let Some(scim) = &target.scim {
        check_scim(source, "scim", scim)?;
        if target.target.roles.contains(&Role::App) {
            check_client(source, scim)?;
        }
    }
    if let Some(scim) = &target.provisioning {
        check_scim(source, "provisioning", scim)?;
    }
    check_receiver(source, target)?;
    check_commands(source, target)?;
    check_lifecycle(source, target)?;
    check_accounts(source, target)
}

/// The secrets that these tables name, with the key of each.
pub fn secrets(target: &Target) -> Vec<(String, &str)> {
    let tables = [("scim", &target.scim), ("provisioning", &target.provisioning)];
    let mut named = Vec::new();
    for (table, scim) in tables {
        let Some(scim) = scim else { continue };
        for (key, reference) in [("token", &scim.token), ("second_token", &scim.second_token)] {
            named.extend(reference.as_deref().map(|reference| (format!("{table}.{key}"), reference)));
        }
    }
    if target.counterpart.scim_url.starts_with("https://") || target.counterpart.commands_url.starts_with("https://") {
        let at = &target.counterpart;
        for (key, reference) in [("ca", &at.ca), ("ca_key", &at.ca_key)] {
            named.extend(reference.as_deref().map(|reference| (format!("counterpart.{key}"), reference)));
        }
    }
    named
}

fn check_scim(source: &Source<'_>, table: &str, scim: &Scim) -> Result<(), Error> {
    let urls = [
        ("base_url", &scim.base_url, "Write the URL below which /Users stands, e.g. \"https://app.example.com/scim/v2\"."),
        (
            "issuer",
            &scim.issuer,
            "Write the issuer identifier of the authorization server (RFC 8414), e.g. \"https://app.example.com\".",
        ),
        ("token_endpoint", &scim.token_endpoint, WHOLE_URL),
        ("keys", &scim.keys, "Write the URL of a JWK Set, or leave it empty: the metadata name it."),
    ];
    for (key, url, help) in urls {
        if !url.is_empty() && !safe(url) {
            let what = format!("{table}.{key} `{url}` is not an https URL without query and fragment");
            return Err(source.fault(source.key(table, key), what, help));
        }
    }
    let domain = &scim.domain;
    if domain.is_empty() || domain.contains(['@', '/', ':', ' ']) {
        let help = "Write the domain alone, e.g. \"example.com\": the suite makes up user names and addresses in it.";
        return Err(source.fault(source.key(table, "domain"), format!("{table}.domain `{domain}` is no domain name"), help));
    }
    if let Some(at) = scim.users.iter().position(|user| user.user_name.is_empty()) {
        let what = format!("{table}.users: number {} has no user_name", at + 1);
        return Err(source.fault(
            source.key(table, "users"),
            what,
            "Write user_name, as the service provider shows it in userName.",
        ));
    }
    Ok(())
}

/// What the suite needs as a client of the service provider.
fn check_client(source: &Source<'_>, scim: &Scim) -> Result<(), Error> {
    if scim.base_url.is_empty() {
        return Ok(());
    }
    let at = source.key("scim", "auth").or_else(|| source.find("[scim]"));
    match scim.auth {
        ScimAuth::Bearer if scim.token.is_none() => {
            Err(source.fault(at, "scim.token is not configured", "Name the provisioning token: token = \"env:NAME\"."))
        }
        ScimAuth::AppAs if scim.client_id.is_empty() => {
            let help = "Write the client_id that the application's authorization server gave to the suite, for which the suite's public keys are registered.";
            Err(source.fault(at, "scim.auth = \"app-as\" needs scim.client_id", help))
        }
        ScimAuth::AppAs if scim.issuer.is_empty() && scim.token_endpoint.is_empty() => {
            let help = "Write the issuer, where the application publishes metadata (RFC 8414), else token_endpoint.";
            Err(source.fault(at, "scim.auth = \"app-as\" needs scim.issuer or scim.token_endpoint", help))
        }
        _ => Ok(()),
    }
}

/// Where the suite's own SCIM server and command endpoint stand.
fn check_receiver(source: &Source<'_>, target: &Target) -> Result<(), Error> {
    let at = &target.counterpart;
    for (key, url) in [("scim_url", &at.scim_url), ("commands_url", &at.commands_url)] {
        if !url.is_empty() && (!safe(url) || url.ends_with('/')) {
            let what = format!("counterpart.{key} `{url}` is not an https URL without query, fragment and a slash at its end");
            return Err(source.fault(source.key("counterpart", key), what, WHOLE_URL));
        }
    }
    let origin = |url: &str| url::Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    if !at.scim_url.is_empty() && !at.commands_url.is_empty() && origin(&at.scim_url) != origin(&at.commands_url) {
        let help = "One listener serves both: write them with the same scheme, host and port.";
        let what = "counterpart.scim_url and commands_url have different origins";
        return Err(source.fault(source.key("counterpart", "commands_url"), what, help));
    }
    Ok(())
}

fn check_commands(source: &Source<'_>, target: &Target) -> Result<(), Error> {
    let commands = &target.commands;
    let urls = [
        ("command_endpoint", &commands.command_endpoint),
        ("backchannel_logout_uri", &commands.backchannel_logout_uri),
        ("revocation_endpoint", &commands.revocation_endpoint),
    ];
    for (key, url) in urls {
        if !url.is_empty() && !web(url) {
            let what = format!("commands.{key} `{url}` is not a URL");
            return Err(source.fault(source.key("commands", key), what, "Write the whole URL, with https."));
        }
    }
    Ok(())
}

fn check_lifecycle(source: &Source<'_>, target: &Target) -> Result<(), Error> {
    let lifecycle = &target.lifecycle;
    if !(1..=LONGEST_CYCLE_S).contains(&lifecycle.cycle_s) {
        let what = format!("lifecycle.cycle_s {} is not between 1 and {LONGEST_CYCLE_S}", lifecycle.cycle_s);
        let help = "Write the seconds that the identity service needs at most to bring a change to the application.";
        return Err(source.fault(source.key("lifecycle", "cycle_s"), what, help));
    }
    if lifecycle.mapping.iter().any(|pair| pair.group.is_empty() || pair.role.is_empty()) {
        let help = "Write mapping = [{ group = \"Managers\", role = \"manager\" }].";
        return Err(source.fault(source.key("lifecycle", "mapping"), "lifecycle.mapping: an entry lacks group or role", help));
    }
    Ok(())
}

fn check_accounts(source: &Source<'_>, target: &Target) -> Result<(), Error> {
    let accounts = &target.accounts;
    for (key, shown) in [("roles", &accounts.roles), ("profile", &accounts.profile)] {
        let Some(shown) = shown else { continue };
        let at = source.find(&format!("[accounts.{key}]")).or_else(|| source.key("accounts", key));
        if shown.selector.is_empty() {
            let help = "Write the CSS selector of the elements whose text shows them, e.g. selector = \"#roles li\".";
            return Err(source.fault(at, format!("accounts.{key}.selector is missing"), help));
        }
        if !shown.url.is_empty() && !web(&shown.url) {
            return Err(source.fault(at, format!("accounts.{key}.url `{}` is not a URL", shown.url), WHOLE_URL));
        }
    }
    if !accounts.other_api.is_empty() && !web(&accounts.other_api) {
        let what = format!("accounts.other_api `{}` is not a URL", accounts.other_api);
        return Err(source.fault(source.key("accounts", "other_api"), what, WHOLE_URL));
    }
    for (key, user) in [("admin", &accounts.admin), ("local_user", &accounts.local_user)] {
        let at = || source.find(&format!("[accounts.{key}]")).or_else(|| source.key("accounts", key));
        if user.as_ref().is_some_and(|user| user.sub.is_empty()) {
            let help = "Write the sub by which the application knows this user; the suite's provider signs the user in with it.";
            return Err(source.fault(at(), format!("accounts.{key}.sub is missing"), help));
        }
    }
    for (name, surface) in &accounts.surface {
        check_surface(source, name, surface)?;
    }
    Ok(())
}

fn check_surface(source: &Source<'_>, name: &str, surface: &Surface) -> Result<(), Error> {
    let at = source.find(&format!("[accounts.surface.{name}]")).or_else(|| source.find(name));
    if !SURFACES.contains(&name) {
        let close = nearest(name, SURFACES.into_iter());
        let help = format!("Did you mean `{close}`? Known here: {}.", SURFACES.join(", "));
        return Err(source.fault(at, format!("accounts.surface.{name} is no known script"), help));
    }
    // Placeholders are no characters of a URL.
    if !web(&surface.url.replace(['{', '}'], "")) {
        let what = format!("accounts.surface.{name}.url `{}` is not a URL", surface.url);
        return Err(source.fault(at, what, "Write the whole URL of the page that the script begins at."));
    }
    Ok(())
}

fn web(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some())
}

/// May secrets and accounts go there? Over https, or without leaving this computer.
fn safe(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    (url.scheme() == "https" || url.scheme() == "http" && loopback) && url.query().is_none() && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use crate::catalogue::Catalogue;
    use crate::error::Error;
    use crate::target_file::load;

    fn told(text: &str) -> Result<(), Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("target.toml");
        std::fs::write(&path, format!("[target]\nroles = [\"app\"]\nlevels = [\"AL1\"]\n{text}")).unwrap();
        load(&path, &Catalogue::embedded().unwrap()).map(drop)
    }

    const SCIM: &str = "[scim]\nbase_url = \"https://app.example/scim/v2\"\n";

    #[test]
    fn a_table_that_is_complete_is_taken() {
        told(&format!("{SCIM}token = \"env:PATH\"\n")).unwrap();
        told("[scim]\nbase_url = \"http://127.0.0.1:8080\"\ntoken = \"env:PATH\"\n").unwrap();
        told(&format!("{SCIM}auth = \"app-as\"\nissuer = \"https://app.example\"\nclient_id = \"a\"\n")).unwrap();
        told("").unwrap();
    }

    #[test]
    fn every_mistake_names_the_key_the_line_and_the_remedy() {
        let unset = format!("{SCIM}token = \"env:IPSIE_NOT_SET\"\n");
        let bearer = "token = \"env:PATH\"\n";
        for (text, wanted, help) in [
            ("[scim]\nbase_ulr = \"\"\n", "toml:5: unknown key `base_ulr`", "Did you mean `base_url`"),
            ("[scim]\nauth = \"basic\"\n", "toml:5: unknown value `basic`", "bearer, app-as, idp-as"),
            ("[scim]\nbase_url = 5\n", "toml:5: invalid type", "init"),
            ("[scim]\nbase_url = \"http://app.example/scim\"\n", "toml:5: scim.base_url", "/Users"),
            (SCIM, "toml:4: scim.token is not configured", "env:NAME"),
            (&unset, "toml:6: scim.token: the environment variable IPSIE_NOT_SET is not set", "Set it"),
            (&format!("{SCIM}auth = \"app-as\"\n"), "toml:6: scim.auth = \"app-as\" needs scim.client_id", "public keys"),
            (&format!("{SCIM}auth = \"app-as\"\nclient_id = \"a\"\n"), "needs scim.issuer or", "RFC 8414"),
            (&format!("{SCIM}{bearer}domain = \"a@b\"\n"), "toml:7: scim.domain", "alone"),
            ("[provisioning]\nkeys = \"jwks\"\n", "toml:5: provisioning.keys", "JWK Set"),
            ("[provisioning]\ntokn = \"\"\n", "toml:5: unknown key `tokn`", "Did you mean `token`"),
            ("[counterpart]\nscim_url = \"https://a.test/scim/\"\n", "toml:5: counterpart.scim_url", "https"),
            (
                "[counterpart]\nscim_url = \"https://a.test/s\"\ncommands_url = \"https://b.test/c\"\n",
                "toml:6: counterpart.scim_url and commands_url",
                "One listener",
            ),
            ("[commands]\ncommand_endpoint = \"app.example/c\"\n", "toml:5: commands.command_endpoint", "whole URL"),
            ("[commands]\nendpoint = \"\"\n", "toml:5: unknown key `endpoint`", "command_endpoint"),
            ("[lifecycle]\ncycle_s = 0\n", "toml:5: lifecycle.cycle_s 0", "seconds"),
            ("[lifecycle]\ncycle_s = \"1h\"\n", "toml:5: invalid type", "init"),
            ("[lifecycle]\ngroup_ways = [\"sicm\"]\n", "toml:5: unknown value `sicm`", "Did you mean `scim`"),
            ("[lifecycle]\nmapping = [{ group = \"a\" }]\n", "toml:5: lifecycle.mapping", "role ="),
            ("[accounts.roles]\nurl = \"https://a.test\"\n", "toml:4: accounts.roles.selector", "CSS"),
            ("[accounts]\nother_api = \"api\"\n", "toml:5: accounts.other_api", "https"),
            ("[accounts.admin]\nemail = \"a@b\"\n", "toml:4: accounts.admin.sub", "signs the user in"),
            ("[accounts.surface.singup]\nurl = \"https://a.test\"\n", "toml:4: accounts.surface.singup", "`signup`"),
            ("[accounts.surface.signup]\nurl = \"/signup\"\n", "toml:4: accounts.surface.signup.url", "whole URL"),
            ("[accounts.surface.signup]\nas = \"somebody\"\n", "unknown value `somebody`", "nobody"),
        ] {
            let error = told(text).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(wanted), "{text}: {error}");
            let remedy = miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default();
            assert!(remedy.contains(help), "{text}: {remedy}");
        }
    }

    #[test]
    fn a_token_in_place_of_its_name_is_not_repeated() {
        let error = told(&format!("{SCIM}token = \"hunter22\"\n")).unwrap_err();
        assert!(error.to_string().contains("never as its value"));
        assert!(!format!("{:?}", miette::Report::new(error)).contains("hunter22"));
    }
}
