//! The deliberate defects of the provisioning side of the reference identity service: one per executable clause, named after it.
//!
//! A lapse departs from the conforming behaviour as little as the clause lets it. Where a service provider would refuse what is sent,
//! the conforming request follows, so that the other clauses still see their effects.

/// One table: documentation, variant and clause stand together, so that none can be forgotten.
macro_rules! lapses {
    ($($(#[$doc:meta])* $name:ident = $clause:literal,)+) => {
        /// One deliberate departure when accounts are provisioned.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Lapse {
            $($(#[$doc])* $name,)+
        }

        impl Lapse {
            /// Every lapse, in the order of the catalogue.
            pub const ALL: &[Lapse] = &[$(Lapse::$name,)+];

            /// The clause that must catch it.
            pub fn clause(self) -> &'static str {
                match self {
                    $(Lapse::$name => $clause,)+
                }
            }
        }
    };
}

lapses! {
    /// Disabling a user is not told to the SCIM server.
    DeactivatesOnDisable = "al1.idp.deactivates-on-disable",
    /// Taking the application away from a user is not told to the SCIM server.
    DeprovisionsOnUnassign = "al1.idp.deprovisions-on-unassign",
    /// A deleted user's link is forgotten before anything is sent.
    DeprovisionsOnDelete = "al1.idp.deprovisions-on-delete",
    /// Deactivations wait for a batch in 30 minutes.
    WithinFiveMinutes = "al1.idp.within-5-minutes",
    /// A user who is enabled again is posted again, without a lookup.
    Reactivates = "al1.idp.reactivates",
    /// The first attempt to deactivate has the string "False".
    PatchWellFormed = "al1.idp.patch-well-formed",
    /// Bodies are sent as text/plain first.
    MediaType = "al1.idp.media-type",
    /// Requests are sent with access_token in the query first.
    BearerHeaderOnly = "al1.idp.bearer-header-only",
    /// Tokens are asked for with a client secret first.
    JwtTokenRequest = "al1.idp.jwt-token-request",
    /// One assertion serves all token requests.
    AssertionFresh = "al1.idp.assertion-fresh",
    /// Tokens are asked for with scope `scim admin` first.
    ScopeScimOnly = "al1.idp.scope-scim-only",
    /// A request that is answered with 401 is not repeated.
    RenewsExpiredToken = "al1.idp.renews-expired-token",
    /// The issuer in the authorization server's metadata is not compared.
    AsDiscovery = "al1.idp.as-discovery",
    /// The key of the assertions is published nowhere.
    PublishesJwks = "al1.idp.publishes-jwks",
    /// Certificates of the SCIM server are not verified.
    TlsServerValidation = "al1.idp.tls-server-validation",
    /// After 429 the request is repeated at once.
    HonoursTooManyRequests = "al1.idp.honours-429",
    /// After 503, a time-out or a reset nothing is repeated.
    RetriesUnavailable = "al1.idp.retries-503",
    /// After a lost answer to a change the user is posted again, without a look, before the change is repeated.
    LostResponseSafe = "al1.idp.lost-response-safe",
    /// A 404 on deactivation makes the user again.
    NotFoundIsDone = "al1.idp.404-is-done",
    /// With every deactivation and every full synchronisation, all users are deactivated that it does not manage.
    OnlyLinkedUsers = "al1.idp.only-linked-users",
    /// Refresh tokens of disabled users go on to work. (A twist of the OpenID Provider does it.)
    AccessEndsAtIdpToo = "al1.idp.access-ends-at-idp-too",
    /// No command is sent for users who are disabled, unassigned or deleted.
    CmdDeprovision = "al1.idp.cmd-deprovision",
    /// Command Tokens have a nonce.
    CmdTokenForm = "al1.idp.cmd-token-form",
    /// Commands are sent whatever commands_supported says.
    CmdOnlySupported = "al1.idp.cmd-only-supported",
    /// After 409 the command is repeated every second.
    CmdHandlesConflict = "al1.idp.cmd-handles-409",
    /// An assignment alone creates nothing; nobody signs in, so nothing ever does.
    CreatesBeforeSignin = "al2.idp.creates-before-signin",
    /// Users are posted without a lookup, and 409 ends it.
    LooksUpBeforeCreate = "al2.idp.looks-up-before-create",
    /// externalId is left out.
    CreateRequestValid = "al2.idp.create-request-valid",
    /// Changes go to /Users/{userName} first.
    StoresServerId = "al2.idp.stores-server-id",
    /// Profiles are pushed at creation only.
    ProfileUpdate = "al2.idp.profile-update",
    /// Attributes without a value are skipped.
    ProfileAttributeCleared = "al2.idp.profile-attribute-cleared",
    /// Profiles are changed by a PUT of the mapped attributes.
    UpdateMinimalHarm = "al2.idp.update-minimal-harm",
    /// A new user name is posted as a new user.
    UsernameChangeKeepsAccount = "al2.idp.username-change-keeps-account",
    /// Index pages of users beyond the first are not read, and nobody is looked up in their place.
    InitialAndFullSync = "al2.idp.initial-and-full-sync",
    /// startIndex is sent to servers that page by cursor only.
    CursorSupport = "al2.idp.cursor-support",
    /// A full synchronisation does not compare users.
    DriftUserRepaired = "al2.idp.drift-user-repaired",
    /// A full synchronisation passes over users that are missing.
    DriftMissingUserRepaired = "al2.idp.drift-missing-user-repaired",
    /// A lost POST is repeated without lookup, under another name where the first is taken.
    NoDuplicatesUnderRace = "al2.idp.no-duplicates-under-race",
    /// Groups are pushed from the second member on.
    GroupCreatePush = "al2.idp.group-create-push",
    /// Members who join a group of three or more are not pushed.
    GroupMemberAdded = "al2.idp.group-member-added",
    /// Members are removed with path `members` and a value.
    GroupMemberRemoved = "al2.idp.group-member-removed",
    /// Members are added by a replacement of all.
    GroupPatchShape = "al2.idp.group-patch-shape",
    /// A deleted group stays at the SCIM server.
    GroupRemoved = "al2.idp.group-removed",
    /// Members after the thousandth are cut off.
    GroupLarge = "al2.idp.group-large",
    /// A full synchronisation does not compare groups.
    GroupsDriftRepaired = "al2.idp.groups-drift-repaired",
    /// The groups claim stays as it was at the first sign-in.
    GroupsClaim = "al2.idp.groups-claim",
    /// The groups claim leaves out the first of several groups.
    GroupSourcesAgree = "al2.idp.group-sources-agree",
    /// Disabled users who are in a group stay active.
    DisabledLeavesGroups = "al2.idp.disabled-leaves-groups",
    /// Changes are sent as activate.
    CmdActivateMaintain = "al2.idp.cmd-activate-maintain",
    /// Command Tokens carry names of groups instead of the announced ids.
    CmdMetadataGroups = "al2.idp.cmd-metadata-groups",
    /// audit_tenant is never sent.
    CmdAuditDrift = "al2.idp.cmd-audit-drift",
    /// Only the first page of roles is read.
    ReadsRoles = "al3.idp.reads-roles",
    /// Roles marked unsupported are offered too.
    UnsupportedNotOffered = "al3.idp.unsupported-not-offered",
    /// Roles are read once only.
    RoleListRefreshed = "al3.idp.role-list-refreshed",
    /// The display of a role is sent as its value.
    RolePushed = "al3.idp.role-pushed",
    /// Roles are added and never removed.
    RoleRemoved = "al3.idp.role-removed",
    /// Roles of groups are not passed on to members.
    RoleByGroup = "al3.idp.role-by-group",
    /// After a refused role nothing is provisioned for a while.
    UnknownRoleErrorHandled = "al3.idp.unknown-role-error-handled",
    /// A full synchronisation does not compare roles.
    RoleDriftRepaired = "al3.idp.role-drift-repaired",
    /// The roles claim stays as it was at the first sign-in.
    RoleClaim = "al3.idp.role-claim",
    /// Disabled users who have a role stay active.
    DisabledLosesRoles = "al3.idp.disabled-loses-roles",
    /// Command Tokens carry no roles.
    CmdMetadataConsumed = "al3.idp.cmd-metadata-consumed",
    /// Every callback token is accepted.
    CmdCallbackHonoured = "al3.idp.cmd-callback-honoured",
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_executable_clause_of_the_identity_service_has_one() {
        let mut clauses = HashSet::new();
        for text in [
            include_str!("../../../profiles/al1-idp.toml"),
            include_str!("../../../profiles/al2-idp.toml"),
            include_str!("../../../profiles/al3-idp.toml"),
        ] {
            let file: toml::Table = text.parse().unwrap();
            for clause in file["clause"].as_array().unwrap() {
                if clause["how"].as_str() != Some("attested") {
                    clauses.insert(clause["id"].as_str().unwrap().to_owned());
                }
            }
        }
        let named: HashSet<String> = Lapse::ALL.iter().map(|lapse| lapse.clause().to_owned()).collect();
        assert_eq!(named.len(), Lapse::ALL.len());
        assert_eq!(named, clauses);
    }
}
