//! The parts of `init`'s target file about accounts, and what to do next for them.

use super::init_file::string;
use super::init_scim::Learnt;
use super::keys_file::JWKS_FILE;
use super::text;
use crate::model::Level;
use crate::report::view::Style;

/// The suite's own provisioning token, for an identity service.
pub const TOKEN_FILE: &str = "ipsie-conform.scim-token";
/// Port of the suite's SCIM server.
const PORT: u16 = 8446;
/// Its host, unless the operator names another.
const HOST: &str = "scim.ipsie-conform.test";
/// `client_id` of the suite at an application's authorization server.
const CLIENT_ID: &str = "ipsie-conform";

/// Levels as a TOML list.
pub fn levels(levels: &[Level]) -> String {
    let named: Vec<String> = levels.iter().map(|level| format!("\"{level}\"")).collect();
    format!("[{}]", named.join(", "))
}

/// Is one of them about accounts?
pub fn about_accounts(levels: &[Level]) -> bool {
    levels.iter().any(|level| level.is_account())
}

fn commented(text: &str) -> String {
    let line = |line: &str| if line.is_empty() || line.starts_with('#') { format!("{line}\n") } else { format!("# {line}\n") };
    text.lines().map(line).collect()
}

/// `[scim]` and `[lifecycle]` of an application; comments where nothing is known of a service provider.
pub fn application(learnt: Option<&Learnt>, token: &str, has_token: bool) -> String {
    let server = learnt.and_then(|learnt| learnt.server.as_ref());
    let by_jwt = !has_token && server.is_some_and(|server| server.takes_jwt);
    let base = learnt.map_or("https://app.example.com/scim/v2", |learnt| &learnt.base_url);
    let known = server.cloned().unwrap_or_else(|| super::init_scim::Server {
        issuer: "https://app.example.com".into(),
        token_endpoint: "https://app.example.com/token".into(),
        takes_jwt: false,
    });
    let (issuer, endpoint) = (string(&known.issuer), string(&known.token_endpoint));
    let client = format!(
        "# app-as: the authorization server ({}), where it publishes metadata (RFC 8414), else its token endpoint; and the client_id that\n\
         # it gave to the suite, for which {JWKS_FILE} is registered.\n",
        if server.is_some() { "as its metadata name it" } else { "no metadata were found" }
    );
    let access = if by_jwt {
        format!(
            "auth = \"app-as\"\n# Bearer token, for `bearer`.\n# token = {token}\n{client}issuer = {issuer}\n# token_endpoint = {endpoint}\n\
             client_id = \"{CLIENT_ID}\"\n",
            token = string(token)
        )
    } else {
        format!(
            "auth = \"bearer\"\ntoken = {token}\n{client}# issuer = {issuer}\n# token_endpoint = {endpoint}\n# client_id = \"{CLIENT_ID}\"\n",
            token = string(token)
        )
    };
    let scim = format!(
        "# The SCIM service provider of the application (AL1 to AL3).\n\
         [scim]\n\
         # URL below which /Users stands.\n\
         base_url = {base}\n\
         # How the suite authenticates: bearer (a token that an administrator hands out), app-as (tokens of the application's authorization\n\
         # server for signed JWTs, RFC 7523), idp-as (tokens of the identity service, which the suite plays; needs [app]).\n\
         {access}\
         # idp-as: `aud` of the access tokens; empty takes base_url.\n\
         # audience = {base}\n\
         # Domain of the user names and addresses that the suite makes up; the application must accept it.\n\
         domain = \"ipsie-conform.test\"\n\
         # What a provisioned account and a sign-in have in common: external-id (is sub), user-name or email (is email).\n\
         # link = \"external-id\"\n\
         # Accounts that the run may change, where it cannot make its own.\n\
         # users = [{{ user_name = \"ipsie-user-1@example.com\", sub = \"ipsie-user-1\", disposable = true }}]\n\
         # A second tenant: its token, or its client for app-as. A tenant for commands about all of its accounts.\n\
         # second_token = \"env:IPSIE_SCIM_SECOND_TOKEN\"\n\
         # second_client_id = \"{CLIENT_ID}-second\"\n\
         # disposable_tenant = \"tenant-to-lose\"\n",
        base = string(base)
    );
    let found = |list: Vec<String>| list.iter().map(|name| string(name)).collect::<Vec<_>>().join(", ");
    let seen = |list: Vec<String>, otherwise: &str| if list.is_empty() { otherwise.to_owned() } else { found(list) };
    let exposed = learnt.map(|learnt| learnt.exposed.iter().map(|way| (*way).to_owned()).collect()).unwrap_or_default();
    let roles = learnt.map(|learnt| learnt.roles.clone()).unwrap_or_default();
    let lifecycle = LIFECYCLE
        .replace("EXPOSED", &seen(exposed, "\"roles-resource\""))
        .replace("ROLES", &seen(roles, "\"reader\", \"editor\""));
    let text = format!("{scim}\n{lifecycle}");
    if learnt.is_some() { text } else { commented(&text) }
}

const LIFECYCLE: &str = r#"# Groups and roles (AL2, AL3). Only the ways that are named count; the other clauses are not applicable.
[lifecycle]
# How groups and roles reach the application: scim, claims (of ID tokens), commands.
# group_ways = ["scim"]
# role_ways = ["scim"]
# groups_claim = "groups"
# roles_claim = "roles"
# How roles are exposed: roles-resource, schema-values, groups-as-roles (with role_groups), op-commands. Unset takes what answers.
# roles_exposed = [EXPOSED]
# role_groups = ["Managers"]
# The roles as the application's administrator sees them.
# roles = [ROLES]
# A user holds one role at a time.
# single_role = true
# Which group gives which role.
# mapping = [{ group = "Managers", role = "manager" }]
"#;

/// `[accounts]` of an application with pages: all of it is for the operator to say.
pub fn pages(origin: &str) -> String {
    commented(&PAGES.replace("ORIGIN", origin))
}

const PAGES: &str = r##"# What the application's own pages show and offer about accounts (AL1 to AL3).
[accounts]
# Answers 2xx to the provisioning token only where that is wrong: an API that is not SCIM.
other_api = "ORIGIN/api/data"
# Where a page shows the roles and the display name of who is signed in.
roles = { selector = "#roles li" }
profile = { selector = "#name" }
# Who administers the tenant, as the suite's provider presents it; and a user with a password of the application's own.
admin = { sub = "ipsie-admin", email = "ipsie-admin@example.com", name = "Test Administrator" }
local_user = { sub = "ipsie-local", email = "ipsie-local@example.com", name = "Local User" }
# What can be done there, each by `admin`, `user` or `nobody`. Others: local-profile-edit, local-user-delete, local-group-edit,
# local-role-edit, local-login, password-reset, role-catalogue. Placeholders: {user_name}, {email}, {value}, {group}, {role}, {id}.
[accounts.surface.local-user-create]
as = "admin"
url = "ORIGIN/admin/users/new"
steps = [{ fill = { at = "#email", with = "{email}" } }, { click = { at = "#create" } }]
[accounts.surface.signup]
as = "nobody"
url = "ORIGIN/signup"
steps = [{ fill = { at = "#email", with = "{email}" } }, { click = { at = "#go" } }]
"##;

/// The hook of an application's accounts.
pub const APP_HOOKS: &str = r#"# Makes the role {role} (AL3).
# [hooks.create-role]
# exec = ["./create-role.sh", "{role}"]
# Removes it again.
# [hooks.delete-role]
# exec = ["./delete-role.sh", "{role}"]
"#;

/// The lines of `[counterpart]` about the SCIM server and the command endpoint that the suite plays for an identity service.
pub fn receiver(active: bool) -> String {
    let own = format!(
        "# Where the suite's SCIM server listens, and its URL as the identity service calls it. Another machine needs \"0.0.0.0:{PORT}\" and a\n\
         # name for this computer; on loopback http will do.\n\
         scim_listen = \"127.0.0.1:{PORT}\"\n\
         scim_url = \"https://{HOST}:{PORT}/scim/v2\"\n\
         # The authority behind its certificates: the identity service must trust `ca`. Keep the key out of version control.\n\
         ca = \"file:ipsie-conform.ca.pem\"\n\
         ca_key = \"file:ipsie-conform.ca-key.pem\"\n\
         # Where account commands (OpenID Provider Commands) arrive, on the same listener; for the binding op-commands.\n\
         # commands_url = \"https://{HOST}:{PORT}/commands\"\n"
    );
    if active { own } else { commented(&own) }
}

/// `[provisioning]` and `[lifecycle]` of an identity service.
pub fn identity_service(active: bool, issuer: &str) -> String {
    let text = PROVISIONING.replace("TOKEN_FILE", TOKEN_FILE).replace("KEYS", &string(&format!("{issuer}/jwks")));
    if active { text } else { commented(&text) }
}

const PROVISIONING: &str = r#"# How the identity service calls the suite's SCIM server (AL1 to AL3).
[provisioning]
# bearer: the token in TOKEN_FILE. app-as: it asks the suite's authorization server, at the origin of counterpart.scim_url, for tokens with
# a signed JWT (RFC 7523). idp-as: tokens of its own authorization server, for `audience`.
auth = "bearer"
token = "file:TOKEN_FILE"
# client_id = "ipsie-scim-client"
# Where it publishes the keys of its JWTs; empty looks into its metadata.
# keys = KEYS
# audience = "https://scim.ipsie-conform.test:8446/scim/v2"

# What it claims of groups and roles (AL2, AL3).
[lifecycle]
# Seconds until a change has reached the application at the latest, at most 86400.
cycle_s = 3600
# Ways that it claims: scim, claims (of ID tokens), commands.
# group_ways = ["scim"]
# role_ways = ["scim"]
# Attributes that it pushes.
# attributes = ["displayName", "title"]
# Directory users that the run may use, where no hook create-user makes them.
# users = ["ipsie-user-1", "ipsie-user-2"]
"#;

/// The hooks of a directory.
pub const DIRECTORY_HOOKS: &str = r#"# The directory, for AL1 to AL3. A hook may answer before the change has reached the suite: it waits for lifecycle.cycle_s. Further
# placeholders: {email}, {name}, {password}, {totp} of create-user, {attribute}, {value}, {group}, {role}, {count}.
# [hooks.create-user]
# exec = ["./directory.sh", "create", "{user}", "{email}", "{name}"]
# [hooks.assign-user]
# http = { url = "https://login.example.com/admin/assign", bearer = "env:IPSIE_ADMIN_TOKEN", body = '{"user":"{user}"}' }
# [hooks.unassign-user]
# prompt = "Take the application from {user}."
# [hooks.delete-user]
# exec = ["./directory.sh", "delete", "{user}"]
# [hooks.update-profile]
# exec = ["./directory.sh", "set", "{user}", "{attribute}", "{value}"]
# [hooks.rename-user]
# exec = ["./directory.sh", "rename", "{user}", "{value}"]
# [hooks.create-group]
# exec = ["./directory.sh", "group", "{group}"]
# [hooks.add-group-member]
# exec = ["./directory.sh", "join", "{group}", "{user}"]
# [hooks.remove-group-member]
# exec = ["./directory.sh", "leave", "{group}", "{user}"]
# [hooks.delete-group]
# exec = ["./directory.sh", "drop", "{group}"]
# [hooks.fill-group]
# exec = ["./directory.sh", "fill", "{group}", "{count}"]
# [hooks.full-resync]
# exec = ["./directory.sh", "resync"]
# [hooks.import-roles]
# exec = ["./directory.sh", "import-roles"]
# [hooks.map-role]
# exec = ["./directory.sh", "map", "{user}", "{role}"]
# [hooks.unmap-role]
# exec = ["./directory.sh", "unmap", "{user}", "{role}"]
# [hooks.map-group-role]
# exec = ["./directory.sh", "map-group", "{group}", "{role}"]
"#;

/// Appends what to do at an application, and what its documents said.
pub fn application_next(out: &mut String, learnt: &Learnt, token: &str, has_token: bool, style: Style) {
    out.push_str(&format!("\n{}\n", text::bold(style, "Read of the service provider")));
    let mut list = |lines: &[String]| {
        for line in lines {
            let mut wrapped = text::wrap(line, style.columns() - 4).into_iter();
            out.push_str(&format!("  - {}\n", wrapped.next().unwrap_or_default()));
            wrapped.for_each(|line| out.push_str(&format!("    {line}\n")));
        }
    };
    list(&learnt.seen);
    if let Some(server) = &learnt.server {
        let jwt = if server.takes_jwt { "takes signed JWTs (RFC 7523)" } else { "does not announce signed JWTs (RFC 7523)" };
        list(&[format!("authorization server {}, which {jwt}", server.issuer)]);
    }
    list(&learnt.hints);
    if learnt.refused {
        let name = token.strip_prefix("env:").unwrap_or(token);
        let what = if has_token {
            format!("The token of {name} was refused. Mend it, and run init again with --force.")
        } else {
            format!("Without a token little could be read. Set {name}, and run init again with --force, to have more filled in.")
        };
        text::paragraph(out, &what, 2, style);
    }
    out.push_str(&format!("\n{}\n", text::bold(style, "Configure the application")));
    let by_jwt = !has_token && learnt.server.as_ref().is_some_and(|server| server.takes_jwt);
    let access = if by_jwt {
        format!(
            "Register the client {CLIENT_ID} with the public keys of {JWKS_FILE} at its authorization server, for the scope scim only, in a \
             test tenant."
        )
    } else {
        format!("Make a provisioning token in a test tenant, for SCIM alone, and give its value to the suite as {token}.")
    };
    text::paragraph(
        out,
        &format!(
            "{access} The run makes users and groups that carry its run id, in the domain ipsie-conform.test (scim.domain): let the \
             application accept it. Everything is removed at the end. Sign-in, sessions and pages need [app] as well: `ipsie-conform init \
             https://APPLICATION/PAGE --role app --scim {}`.",
            learnt.base_url
        ),
        2,
        style,
    );
}

/// Appends what to do at an identity service that provisions.
pub fn identity_service_next(out: &mut String, style: Style) {
    out.push_str(&format!("\n{}\n", text::bold(style, "Provisioning, for AL1 to AL3")));
    text::paragraph(
        out,
        &format!(
            "Add an application that is provisioned by SCIM at https://{HOST}:{PORT}/scim/v2 with the bearer token in {TOKEN_FILE}; {HOST} must \
             lead to this computer, and ipsie-conform.ca.pem must be trusted. The server runs while `run` does. Then fill in the hooks by \
             which the suite drives the directory: create-user, assign-user, disable-user and the others in the file."
        ),
        2,
        style,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init_scim::Server;
    use crate::model::target::{ScimAuth, Target};

    /// Every commented key and table becomes one that counts.
    fn opened(text: &str) -> String {
        let key = |line: &str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
        text.lines().map(|line| line.strip_prefix("# ").filter(|rest| key(rest)).unwrap_or(line)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_key_is_known_also_with_the_comments_taken_away() {
        let texts = [
            application(None, "env:T", false),
            application(Some(&Learnt::default()), "env:T", true),
            pages("https://app.example.com"),
            format!("[counterpart]\n{}", receiver(false)),
            identity_service(false, "https://idp.example.com"),
            identity_service(true, "https://idp.example.com"),
            DIRECTORY_HOOKS.to_owned(),
            APP_HOOKS.to_owned(),
        ];
        for text in &texts {
            toml::from_str::<Target>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let open = opened(text);
            toml::from_str::<Target>(&open).unwrap_or_else(|error| panic!("{error}: {open}"));
        }
        let target: Target = toml::from_str(&opened(&texts[2])).unwrap();
        assert_eq!(target.accounts.surface.len(), 2);
        let target: Target = toml::from_str(&opened(&texts[6])).unwrap();
        assert!(target.hooks.len() > 15);
        let target: Target = toml::from_str(&texts[0]).unwrap();
        assert!(target.scim.is_none(), "nothing is claimed where nothing is known");
    }

    #[test]
    fn an_authorization_server_that_takes_jwts_is_preferred_to_a_token_that_is_not_there() {
        let server = Server { issuer: "https://as.test".into(), token_endpoint: "https://as.test/t".into(), takes_jwt: true };
        let learnt = Learnt { base_url: "https://a.test/scim".into(), server: Some(server), ..Learnt::default() };
        let auth = |has_token| {
            let target: Target = toml::from_str(&application(Some(&learnt), "env:T", has_token)).unwrap();
            let scim = target.scim.unwrap();
            (scim.auth, scim.issuer, scim.token)
        };
        assert_eq!(auth(false), (ScimAuth::AppAs, "https://as.test".into(), None));
        assert_eq!(auth(true), (ScimAuth::Bearer, String::new(), Some("env:T".into())));
    }
}
