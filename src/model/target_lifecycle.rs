//! The part of the target file about accounts: `[scim]`, `[lifecycle]` and `[accounts]`.

use serde::{Deserialize, Serialize};

use super::target_app::AppUser;

/// SCIM between the two roles. For an application: its service provider, which the suite calls. For an identity service: the
/// suite's own server, which it calls; then only `auth`, `token`, `issuer`, `client_id` and `keys` matter.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scim {
    /// URL below which `/Users` stands.
    pub base_url: String,
    /// How the client authenticates.
    pub auth: ScimAuth,
    /// `env:NAME` or `file:PATH` of the bearer token, for `bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// `app-as`: issuer of the application's authorization server (RFC 8414). `idp-as`: issuer that the application was told to trust;
    /// empty takes `counterpart.issuer`.
    pub issuer: String,
    /// `app-as`: token endpoint, where the application publishes no metadata.
    pub token_endpoint: String,
    /// `app-as`: the client that the suite is at the application's authorization server.
    pub client_id: String,
    /// `idp-as`: `aud` of the access tokens; empty takes `base_url`.
    pub audience: String,
    /// Identity service: where it publishes the keys of its client assertions; empty looks into its metadata.
    pub keys: String,
    /// Domain of the user names and addresses that the suite makes up.
    pub domain: String,
    /// What a provisioned account and a sign-in have in common.
    pub link: Link,
    /// Accounts that exist at the application and that this run may change, where it cannot make its own.
    pub users: Vec<NamedUser>,
    /// `env:NAME` or `file:PATH` of the bearer token of a second tenant, for `bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_token: Option<String>,
    /// `app-as`: the suite's client in the second tenant.
    pub second_client_id: String,
    /// A tenant that the operator calls disposable: commands about the tenant as a whole may be sent to it.
    pub disposable_tenant: String,
}

impl Default for Scim {
    fn default() -> Self {
        Scim {
            base_url: String::new(),
            auth: ScimAuth::Bearer,
            token: None,
            issuer: String::new(),
            token_endpoint: String::new(),
            client_id: String::new(),
            audience: String::new(),
            keys: String::new(),
            domain: "ipsie-conform.test".into(),
            link: Link::ExternalId,
            users: Vec::new(),
            second_token: None,
            second_client_id: String::new(),
            disposable_tenant: String::new(),
        }
    }
}

/// How a SCIM client authenticates (AL1 SCIM draft, section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScimAuth {
    /// A static bearer token. Clauses about token requests are then not run.
    #[default]
    Bearer,
    /// The client exchanges a signed JWT at the application's authorization server (RFC 7523).
    AppAs,
    /// The identity service's own authorization server issues JWT access tokens, which the application verifies.
    IdpAs,
}

/// What a provisioned account and a sign-in have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// `externalId` is the `sub` of the ID token.
    #[default]
    ExternalId,
    /// `userName` is the `email` of the ID token.
    UserName,
    /// The primary address is the `email` of the ID token.
    Email,
}

/// An account that exists at the application.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NamedUser {
    /// `userName`.
    pub user_name: String,
    /// `sub` with which it signs in; empty where it does not.
    pub sub: String,
    /// It may be deleted.
    pub disposable: bool,
}

/// What is claimed and declared about accounts, groups and roles.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lifecycle {
    /// Seconds a provisioning cycle of the identity service may take, at most 86400.
    pub cycle_s: u64,
    /// How group membership travels.
    pub group_ways: Vec<Way>,
    /// How role assignments travel.
    pub role_ways: Vec<Way>,
    /// How the application exposes its roles; empty takes what answers.
    pub roles_exposed: Vec<Exposure>,
    /// Claim with groups in ID tokens, for the way `claims`.
    pub groups_claim: String,
    /// Claim with roles in ID tokens, for the way `claims`.
    pub roles_claim: String,
    /// `displayName` of groups that stand for roles, for `groups-as-roles`.
    pub role_groups: Vec<String>,
    /// The application's roles as its administrator sees them.
    pub roles: Vec<String>,
    /// A user holds one role at a time.
    pub single_role: bool,
    /// Which group gives which role.
    pub mapping: Vec<GroupRole>,
    /// What the identity service calls the attributes that it pushes; empty stands for `displayName`, `title`.
    pub attributes: Vec<String>,
    /// Directory users of the identity service that the run may use, where no hook `create-user` makes them.
    pub users: Vec<String>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Lifecycle {
            cycle_s: 3600,
            group_ways: vec![Way::Scim],
            role_ways: vec![Way::Scim],
            roles_exposed: Vec::new(),
            groups_claim: "groups".into(),
            roles_claim: "roles".into(),
            role_groups: Vec::new(),
            roles: Vec::new(),
            single_role: false,
            mapping: Vec::new(),
            attributes: Vec::new(),
            users: Vec::new(),
        }
    }
}

/// How groups or roles travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// By SCIM resources.
    Scim,
    /// By claims of the ID token.
    Claims,
    /// By members of command tokens.
    Commands,
}

impl Way {
    /// As the target file says it.
    pub fn word(self) -> &'static str {
        match self {
            Way::Scim => "scim",
            Way::Claims => "claims",
            Way::Commands => "commands",
        }
    }
}

/// How an application exposes its roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exposure {
    /// The resource `/Roles`.
    RolesResource,
    /// `canonicalValues` of `roles` in the User schema.
    SchemaValues,
    /// Groups that stand for roles.
    GroupsAsRoles,
    /// `roles` in the answer to the metadata command.
    OpCommands,
}

/// A group gives a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupRole {
    /// `displayName` of the group; with the way `claims` or `commands` its value there. The suite makes a group of this name where there is none.
    pub group: String,
    /// The role as the page of `accounts.roles` shows it.
    pub role: String,
}

/// Where a page shows a list or a text about the signed-in user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shown {
    /// The page; empty takes `protected_url`.
    pub url: String,
    /// CSS selector; the text of every element it matches counts.
    pub selector: String,
}

/// What somebody does on the application's own pages, by name in `[accounts.surface.NAME]`: `local-user-create`, `local-profile-edit`,
/// `local-user-delete`, `local-group-edit`, `local-role-edit`, `signup`, `local-login`, `password-reset`, `role-catalogue`. Placeholders in URL
/// and steps: `{user_name}`, `{email}`, `{value}`, `{group}`, `{role}`, `{id}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Surface {
    /// Who does it.
    #[serde(rename = "as")]
    pub actor: Actor,
    /// The page it begins at.
    pub url: String,
    /// What is done there.
    pub steps: Vec<super::target::Step>,
}

/// Who acts on the application's own pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The user of `accounts.admin`, signed in.
    #[default]
    Admin,
    /// A provisioned user, signed in.
    User,
    /// A browser without a session.
    Nobody,
}

/// What an application's own pages show and offer about accounts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppAccounts {
    /// The administrator of the managed tenant, as the suite's provider presents it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<AppUser>,
    /// A user with a password at the application itself, whom a migrate command may move to the provider for good. The script
    /// `local-login` signs in as this user: `{user_name}` and `{email}` are the email here. Where the script signs in no managed user,
    /// this one shows that it works at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_user: Option<AppUser>,
    /// Where a page shows the roles of the signed-in user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Shown>,
    /// Where a page shows the display name of the signed-in user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Shown>,
    /// Answers 2xx to a bearer token of the provisioning client only where that is wrong: an API that is not SCIM.
    pub other_api: String,
    /// Browser scripts by name.
    pub surface: std::collections::BTreeMap<String, Surface>,
}
