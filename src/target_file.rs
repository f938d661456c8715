//! Reading target files: every mistake with its place, the nearest known key, and the remedy.

use std::ops::Range;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use miette::NamedSource;
use regex::{Captures, Regex};

use crate::catalogue::{Catalogue, nearest};
use crate::error::{Error, FileFault};
use crate::model::Role;
use crate::model::target::{App, ClientAuth, Step, Target};
use crate::stage::hooks::ways;
use crate::stage::redact::speaking;
use crate::stage::secrets::Secrets;
use crate::target_accounts;

/// A target file that was read and checked.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says; paths are absolute or relative to the working directory.
    pub target: Target,
    /// Finds its secrets.
    pub secrets: Secrets,
    /// SHA-256 over its text.
    pub digest: String,
}

/// A file and its text.
pub(crate) struct Source<'a> {
    path: &'a Path,
    text: String,
}

impl Source<'_> {
    /// A mistake, with its place and remedy.
    pub fn fault(&self, at: Option<Range<usize>>, message: impl Into<String>, help: impl Into<String>) -> Error {
        let place = at.as_ref().map(|at| format!(":{}", self.text[..at.start.min(self.text.len())].matches('\n').count() + 1));
        Error::from(Box::new(FileFault {
            message: format!("{}{}: {}", self.path.display(), place.unwrap_or_default(), message.into()),
            help: help.into(),
            source_code: NamedSource::new(self.path.display().to_string(), masked(&self.text).0).with_language("toml"),
            at: at.map(|at| (at.start, at.end.saturating_sub(at.start)).into()),
        }))
    }

    /// Where a text stands, for mistakes that the parser does not place.
    pub fn find(&self, needle: &str) -> Option<Range<usize>> {
        let start = self.text.find(needle)?;
        Some(start..start + needle.len())
    }

    /// Where a key of a table stands: the same key may stand in others.
    pub fn key(&self, table: &str, key: &str) -> Option<Range<usize>> {
        let header = format!("[{table}]");
        let (mut start, mut inside) = (0, false);
        for line in self.text.split_inclusive('\n') {
            let text = line.trim();
            if text.starts_with('[') {
                inside = text.starts_with(&header);
            } else if inside && text.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', '.'])) {
                return Some(start..start + line.trim_end().len());
            }
            start += line.len();
        }
        None
    }
}

/// Reads and checks a target file. Nothing is sent.
pub fn load(path: &Path, catalogue: &Catalogue) -> Result<Loaded, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::usage(
            format!("the target file {} cannot be read: {error}", path.display()),
            "Give the path of a target file; `ipsie-conform init ISSUER` writes one.",
        )
    })?;
    let base = path.parent().map(Path::to_owned).unwrap_or_default();
    let source = Source { path, text };
    let mut target: Target = toml::from_str(&source.text).map_err(|error| unreadable(&source, &error))?;
    check(&source, &target, catalogue)?;
    let relative = |file: &PathBuf| base.join(file);
    target.network.ca_file = target.network.ca_file.as_ref().map(relative);
    let secrets = Secrets::new(&base);
    check_secrets(&source, &target, &secrets)?;
    let digest = hex(digest(&SHA256, source.text.as_bytes()).as_ref());
    Ok(Loaded { target, secrets, digest })
}

/// The text with asterisks in place of what stands at a key that speaks of a secret, also a misspelt one: messages show lines of the file.
/// Every place stays where it is. And the values that were masked.
fn masked(text: &str) -> (String, Vec<String>) {
    let pair = r#"([\w-]+)("?\s*=\s*)("[^"\n]*"?|'[^'\n]*'?|[^\s,}\]\[{]+)"#;
    // The expression is right: its tests use it.
    let Ok(pair) = Regex::new(pair) else { return (String::new(), Vec::new()) };
    let mut values = Vec::new();
    let shown = pair.replace_all(text, |found: &Captures<'_>| {
        let (key, value) = (&found[1], found[3].trim_matches(['"', '\'']));
        // A reference to a secret is none.
        let reference = ["env:", "file:"].iter().any(|kind| value.starts_with(kind));
        if reference || !(speaking(key) || ["pass", "bearer", "otp"].iter().any(|word| key.contains(word))) {
            return found[0].to_owned();
        }
        values.push(value.to_owned());
        format!("{key}{}{}", &found[2], "*".repeat(found[3].len()))
    });
    (shown.into_owned(), values)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unreadable(source: &Source<'_>, error: &toml::de::Error) -> Error {
    let mut message = error.message().to_owned();
    for value in masked(&source.text).1.iter().filter(|value| value.len() >= 4) {
        message = message.replace(value.as_str(), "***");
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        let wrong = quoted.next().unwrap_or_default().to_owned();
        let known: Vec<&str> = quoted.collect();
        let what = if message.starts_with("unknown field") { "key" } else { "value" };
        let help = if known.is_empty() {
            format!("This table takes no further {what}s.")
        } else {
            format!("Did you mean `{}`? Known here: {}.", nearest(&wrong, known.iter().copied()), known.join(", "))
        };
        return source.fault(error.span(), format!("unknown {what} `{wrong}`"), help);
    }
    source.fault(
        error.span(),
        message,
        "The keys and their types are explained in the commented file that `ipsie-conform init` writes.",
    )
}

fn check(source: &Source<'_>, target: &Target, catalogue: &Catalogue) -> Result<(), Error> {
    let accounts_only = !target.target.levels.is_empty() && target.target.levels.iter().all(|level| level.is_account());
    if target.target.roles.contains(&Role::Idp) && !(accounts_only && target.idp.is_none()) {
        let Some(idp) = &target.idp else {
            return Err(source.fault(None, "the role `idp` needs a table [idp]", "Add [idp] with issuer, clients and users."));
        };
        let issuer = url::Url::parse(&idp.issuer).ok().filter(|url| url.scheme() == "https" && url.host().is_some());
        if issuer.is_none() {
            return Err(source.fault(
                source.find("issuer"),
                format!("idp.issuer `{}` is not an https URL", idp.issuer),
                "Write the issuer identifier exactly as clients are given it, e.g. \"https://login.example.com/tenant\".",
            ));
        }
    }
    if target.target.roles.contains(&Role::App) && !(accounts_only && target.app.is_none()) {
        let Some(app) = &target.app else {
            return Err(source.fault(None, "the role `app` needs a table [app]", "Add [app] with protected_url and client_id."));
        };
        check_app(source, target, app)?;
    }
    target_accounts::check(source, target)?;
    for (name, url) in [("public_url", &target.counterpart.public_url), ("sector_url", &target.counterpart.sector_url)] {
        let good = url::Url::parse(url).is_ok_and(|url| url.scheme() == "https" && url.path() == "/" && url.query().is_none());
        if !good {
            let help = "Write the origin only, e.g. \"https://rp.ipsie-conform.test\".";
            return Err(source.fault(source.find(name), format!("counterpart.{name} `{url}` is not an https origin"), help));
        }
    }
    for binding in &target.target.bindings {
        // A misspelt delivery binding would turn its clauses not applicable.
        let known = || catalogue.clauses.iter().map(|clause| clause.binding.as_str());
        if !known().any(|name| name == binding) {
            let help = format!("Did you mean `{}`? `ipsie-conform list bindings` shows all.", nearest(binding, known()));
            return Err(source.fault(source.find(binding), format!("target.bindings: `{binding}` is no known binding"), help));
        }
    }
    for (name, hook) in &target.hooks {
        if ways(hook) != 1 {
            let at = source.find(&format!("[hooks.{name}]"));
            return Err(source.fault(
                at,
                format!("hook `{name}` gives {} of exec, http and prompt", ways(hook)),
                "Give exactly one of them.",
            ));
        }
    }
    for (id, statement) in &target.attest {
        let at = source.find(id);
        if catalogue.clause(id).is_none() {
            let close = nearest(id, catalogue.clauses.iter().map(|clause| clause.id.as_str()));
            return Err(source.fault(at, format!("attest.\"{id}\" names no clause"), format!("Did you mean `{close}`?")));
        }
        if statement.date.parse::<jiff::civil::Date>().is_err() {
            return Err(source.fault(
                at,
                format!("attest.\"{id}\": `{}` is not a date", statement.date),
                "Write it as YYYY-MM-DD.",
            ));
        }
        if statement.by.trim().is_empty() || statement.statement.trim().is_empty() {
            let help = "Write what is stated, and who says so: both stand in the report.";
            return Err(source.fault(at, format!("attest.\"{id}\": `statement` and `by` must say something"), help));
        }
    }
    if let Some(edition) = &target.run.edition
        && catalogue.edition(edition).is_none()
    {
        let help = format!("Did you mean `{}`?", nearest(edition, catalogue.editions.iter().map(|known| known.id.as_str())));
        return Err(source.fault(source.find("edition"), format!("run.edition `{edition}` is no known edition"), help));
    }
    crate::stage::resolve::Resolve::new(&target.network.resolve, []).map(drop).map_err(|message| {
        source.fault(source.find("resolve"), message, "Write \"host\" = \"address:port\" or \"host:port\" = \"address:port\".")
    })
}

fn check_app(source: &Source<'_>, target: &Target, app: &App) -> Result<(), Error> {
    let web = |url: &str| url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some());
    let urls = [
        ("app.protected_url", app.protected_url.as_str(), true),
        ("app.start_url", &app.start_url, false),
        ("app.initiate_login_uri", &app.initiate_login_uri, false),
        ("app.logout_url", &app.logout_url, false),
    ];
    for (name, url, needed) in urls {
        if (needed || !url.is_empty()) && !web(url) {
            let key = name.rsplit('.').next().unwrap_or(name);
            return Err(source.fault(
                source.find(key),
                format!("{name} `{url}` is not a URL"),
                "Write the whole URL, with https.",
            ));
        }
    }
    if app.client_id.is_empty() {
        let help = "Write the client_id that the application uses at the suite's provider.";
        return Err(source.fault(source.find("[app]"), "app.client_id is missing", help));
    }
    for step in &app.login.steps {
        let theirs = match step {
            Step::Fill { with, .. } => ["{password}", "{totp}"].into_iter().find(|name| with.contains(name)),
            Step::SecondFactor {} => Some("second-factor"),
            _ => None,
        };
        if let Some(theirs) = theirs {
            let help = "The suite's own provider signs the user in; only what a user does at the application before that is a step here, \
                        and {username} is the email address.";
            let at = source.find(theirs);
            return Err(source.fault(at, format!("app.login.steps: `{theirs}` belongs to a login at a provider"), help));
        }
    }
    let issuer = &target.counterpart.issuer;
    if !url::Url::parse(issuer).is_ok_and(|url| url.scheme() == "https" && url.host().is_some()) || issuer.ends_with('/') {
        let help =
            "Write it as the application is configured with it, without a slash at its end, e.g. \"https://localhost:9443\".";
        return Err(source.fault(source.find("issuer"), format!("counterpart.issuer `{issuer}` is not an https URL"), help));
    }
    let known = ["op-commands", "backchannel-logout", "token-revocation", "ssf-caep", "oidc", "scim"];
    if let Some(unknown) = target.target.bindings.iter().find(|binding| !known.contains(&binding.as_str())) {
        let close = nearest(unknown, known.into_iter());
        return Err(source.fault(
            source.find(unknown),
            format!("target.bindings: `{unknown}` is no binding"),
            format!("Did you mean `{close}`?"),
        ));
    }
    let endpoints = [
        ("op-commands", "command_endpoint", &target.commands.command_endpoint),
        ("backchannel-logout", "backchannel_logout_uri", &target.commands.backchannel_logout_uri),
        ("token-revocation", "revocation_endpoint", &target.commands.revocation_endpoint),
    ];
    for (binding, key, url) in endpoints {
        if target.target.bindings.iter().any(|known| known == binding) && url.is_empty() {
            let help = format!("Add {key} under [commands].");
            return Err(source.fault(source.find(binding), format!("the binding `{binding}` needs commands.{key}"), help));
        }
    }
    Ok(())
}

/// Reads every secret once, so that a missing one is told before anything is sent.
fn check_secrets(source: &Source<'_>, target: &Target, secrets: &Secrets) -> Result<(), Error> {
    let mut references: Vec<(String, &str)> = Vec::new();
    if let Some(keys) = &target.counterpart.keys {
        references.push(("counterpart.keys".into(), keys));
    }
    let mut needs_keys = None;
    if let Some(idp) = &target.idp {
        let clients = [
            ("main", &idp.clients.main),
            ("second", &idp.clients.second),
            ("public", &idp.clients.public),
            ("pairwise", &idp.clients.pairwise),
            ("pairwise_other", &idp.clients.pairwise_other),
            ("encrypted", &idp.clients.encrypted),
        ];
        for (name, client) in clients.iter().filter_map(|(name, client)| Some((name, client.as_ref()?))) {
            match (&client.secret, client.auth) {
                (Some(reference), _) => references.push((format!("idp.clients.{name}.secret"), reference)),
                (None, ClientAuth::ClientSecretBasic | ClientAuth::ClientSecretPost) => {
                    let at = source.find(&format!("[idp.clients.{name}]"));
                    return Err(source.fault(at, format!("idp.clients.{name} has no secret"), "Add secret = \"env:NAME\"."));
                }
                (None, ClientAuth::PrivateKeyJwt) => needs_keys = Some(format!("idp.clients.{name}")),
                (None, ClientAuth::None) => {}
            }
        }
        for user in &idp.users {
            for (what, reference) in [
                ("password", &user.password),
                ("totp", &user.totp),
                ("hardware_totp", &user.hardware_totp),
                ("passkey", &user.passkey),
            ] {
                if let Some(reference) = reference {
                    references.push((format!("{what} of user `{}`", user.name), reference));
                }
            }
        }
    }
    if let Some(app) = &target.app {
        let second = app.second.as_ref().and_then(|second| second.client_secret.as_ref());
        let commands = &target.commands;
        let named = [
            ("app.client_secret", app.client_secret.as_ref()),
            ("app.second.client_secret", second),
            ("counterpart.ca", target.counterpart.ca.as_ref()),
            ("counterpart.ca_key", target.counterpart.ca_key.as_ref()),
            ("commands.revocation_token", commands.revocation_token.as_ref()),
            ("commands.second_revocation_token", commands.second_revocation_token.as_ref()),
        ];
        references.extend(named.into_iter().filter_map(|(name, reference)| Some((name.to_owned(), reference?.as_str()))));
        if app.client_secret.is_none() && matches!(app.auth, ClientAuth::ClientSecretBasic | ClientAuth::ClientSecretPost) {
            return Err(source.fault(
                source.find("[app]"),
                "app has no client_secret",
                "Add client_secret = \"env:NAME\", or set auth.",
            ));
        }
    }
    if let Some(reference) = target.idp.as_ref().and_then(|idp| idp.revocation_token.as_ref()) {
        references.push(("idp.revocation_token".into(), reference));
    }
    references.extend(target_accounts::secrets(target));
    for (name, hook) in &target.hooks {
        if let Some(reference) = hook.http.as_ref().and_then(|call| call.bearer.as_ref()) {
            references.push((format!("hooks.{name}.http.bearer"), reference));
        }
    }
    if let (Some(client), None) = (needs_keys, &target.counterpart.keys) {
        return Err(source.fault(
            source.find("[counterpart]"),
            format!("{client} signs its assertions, but counterpart.keys is not set"),
            "Add keys = \"file:ipsie-conform.keys.json\" under [counterpart]; `ipsie-conform init` makes the file.",
        ));
    }
    for (what, reference) in references {
        if let Err(fault) = secrets.get(reference) {
            // The value itself may stand where a reference should: its place is shown, its text is not.
            let reference_like = reference.starts_with("env:") || reference.starts_with("file:");
            let at = if reference_like { source.find(reference) } else { None };
            let hidden = Source { path: source.path, text: if reference_like { source.text.clone() } else { String::new() } };
            return Err(hidden.fault(
                at.filter(|_| reference_like),
                format!("{what}: {fault}"),
                "Set it, or name another place.",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str) -> Result<Loaded, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("target.toml");
        std::fs::write(&path, text).unwrap();
        load(&path, &Catalogue::embedded().unwrap())
    }

    const MINIMAL: &str = "[idp]\nissuer = \"https://op.example\"\n";

    /// Its secrets are read from a file that is there.
    fn with_secrets(text: &str) -> String {
        let mut out = String::new();
        for part in text.split_inclusive('"') {
            let reference = ["env:", "file:"].iter().any(|kind| part.starts_with(kind));
            out.push_str(if reference { "file:secret\"" } else { part });
        }
        out
    }

    #[test]
    fn the_target_files_to_copy_are_read_and_name_only_hooks_that_are_called() {
        let catalogue = Catalogue::embedded().unwrap();
        let mut names = Vec::new();
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/targets")).unwrap() {
            let file = entry.unwrap().path();
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("secret"), "s3cret").unwrap();
            let path = dir.path().join("target.toml");
            std::fs::write(&path, with_secrets(&std::fs::read_to_string(&file).unwrap())).unwrap();
            let loaded = load(&path, &catalogue).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let called = |hook: &String| {
                let needed = format!("-hook:{hook}");
                catalogue.clauses.iter().flat_map(|clause| &clause.needs).any(|need| need.ends_with(&needed))
                    || ["create-user", "map-group-role"].contains(&hook.as_str())
            };
            assert!(loaded.target.hooks.keys().all(called), "{}", file.display());
            names.push(file.file_name().unwrap().to_string_lossy().into_owned());
        }
        names.sort();
        let wanted = ["application-with-accounts", "keycloak", "provisioning-identity-service", "scim-service-provider"]
            .map(|name| format!("{name}.toml"));
        assert_eq!(names, wanted);
    }

    #[test]
    fn a_minimal_file_is_enough() {
        assert_eq!(load_text(MINIMAL).unwrap().target.idp.unwrap().issuer, "https://op.example");
    }

    #[test]
    fn every_mistake_names_the_thing_the_place_and_the_remedy() {
        for (text, wanted, help) in [
            ("[idp]\nisuer = \"https://op\"\n", "target.toml:2: unknown key `isuer`", "Did you mean `issuer`"),
            ("[idp]\nissuer = 5\n", "target.toml:2: invalid type", "init"),
            ("[idp]\nissuer = \"http://op\"\n", "not an https URL", "https://"),
            ("[target]\nroles = [\"ipd\"]\n", "unknown value `ipd`", "idp"),
            ("[idp]\nissuer = \"https://op\"\n[hooks.x]\n", "hook `x` gives 0", "exactly one"),
            (
                "[idp]\nissuer = \"https://op\"\n[attest.\"sl1.idp.federation-hnt\"]\nstatement=\"\"\nby=\"\"\ndate=\"2026-01-01\"\n",
                "names no clause",
                "sl1.idp.federation-hint",
            ),
            (
                "[idp]\nissuer = \"https://op\"\n[[idp.users]]\nname = \"a\"\npassword = \"env:NOT_SET_ANYWHERE\"\n",
                "NOT_SET_ANYWHERE is not set",
                "Set it",
            ),
            ("[idp]\nissuer = \"https://op\"\n[idp.clients.main]\nid = \"a\"\n", "counterpart.keys is not set", "init"),
            ("[idp\n", "target.toml:1", "init"),
        ] {
            let error = load_text(text).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(wanted), "{error}");
            let told = miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default();
            assert!(told.contains(help), "{told}");
        }
    }

    #[test]
    fn a_value_in_place_of_a_reference_is_not_repeated() {
        let error =
            load_text("[idp]\nissuer = \"https://op\"\n[[idp.users]]\nname = \"a\"\npassword = \"hunter22\"\n").unwrap_err();
        assert!(!format!("{:?}", miette::Report::new(error)).contains("hunter22"));
    }
}
