//! The deliberate quirks of the SCIM service provider: one per executable clause, named after it.
//!
//! A quirk departs from the conforming behaviour as little as the clause lets it. It is applied where that behaviour is, with
//! `engine.has(Quirk::X)`; those of access tokens and assertions with `authority.has(Quirk::X)`.

/// One table: documentation, variant and clause stand together, so that none can be forgotten.
macro_rules! quirks {
    ($($(#[$doc:meta])* $name:ident = $clause:literal,)+) => {
        /// One deliberate departure from SCIM, or from the way its tokens are had and checked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Quirk {
            $($(#[$doc])* $name,)+
        }

        impl Quirk {
            /// Every quirk, in the order of the catalogue.
            pub const ALL: &[Quirk] = &[$(Quirk::$name,)+];

            /// The clause that must catch it.
            pub fn clause(self) -> &'static str {
                match self {
                    $(Quirk::$name => $clause,)+
                }
            }
        }
    };
}

quirks! {
    /// Answers the plain PATCH that sets active to false with 204, and leaves the user active.
    DeactivatePatch = "al1.app.deactivate-patch",
    /// Refuses a PATCH replace without path whose value names active.
    DeactivatePatchNoPath = "al1.app.deactivate-patch-no-path",
    /// Takes the string "False" for active as true, and answers with success.
    DeactivateEntraDialect = "al1.app.deactivate-entra-dialect",
    /// Ignores active in PUT.
    DeactivatePut = "al1.app.deactivate-put",
    /// Answers the deactivation of an inactive user with 409.
    DeactivateIdempotent = "al1.app.deactivate-idempotent",
    /// Answers GET by id of an inactive user with 404.
    DeactivatedStillReadable = "al1.app.deactivated-still-readable",
    /// Refuses a PATCH that makes an inactive user active with 400.
    Reactivate = "al1.app.reactivate",
    /// A deleted user is still found by a filter on userName.
    DeleteUser = "al1.app.delete-user",
    /// Answers DELETE of an id that no tenant knows with 204.
    DeleteUnknown404 = "al1.app.delete-unknown-404",
    /// Keeps the userName of deleted users taken: 409.
    RecreateAfterDelete = "al1.app.recreate-after-delete",
    /// Deactivation takes the user out of all groups, reactivation does not bring it back (informational).
    GroupMembershipKeptOrDropped = "al1.app.group-membership-kept-or-dropped",
    /// Serves GET of users and groups without any token.
    NoToken401 = "al1.app.no-token-401",
    /// Accepts a token that names a known key although its signature does not verify (opaque and static tokens: whose beginning is right).
    BadToken401 = "al1.app.bad-token-401",
    /// Never looks at the expiry of access tokens.
    ExpiredToken = "al1.app.expired-token",
    /// Takes the token from the query parameter access_token.
    TokenInQueryRefused = "al1.app.token-in-query-refused",
    /// Leaves token_type out of the token response.
    JwtAssertionExchange = "al1.app.jwt-assertion-exchange",
    /// Ignores aud of assertions.
    JwtAssertionChecks = "al1.app.jwt-assertion-checks",
    /// Remembers no jti of assertions.
    JwtAssertionReplay = "al1.app.jwt-assertion-replay",
    /// Pins the first JWK Set of the Identity Service for ever.
    TokenAcceptedFromIdp = "al1.app.token-accepted-from-idp",
    /// Ignores the scope: issues tokens for any, and accepts tokens without scim.
    ScopeScimNeeded = "al1.app.scope-scim-needed",
    /// A scim token opens the other APIs of the Application as well (the embedder asks `Authority::opens_other_api`).
    ScopeNotBroader = "al1.app.scope-not-broader",
    /// Serves no authorization server metadata.
    AsMetadata = "al1.app.as-metadata",
    /// Access tokens carry a token_endpoint claim with another URL (informational).
    TokenEndpointClaim = "al1.app.token-endpoint-claim",
    /// Finds users by their global id, whichever tenant asks.
    TenantBound = "al1.app.tenant-bound",
    /// Selects a 3DES suite of TLS 1.2 at the SCIM host (applied by the embedder).
    TlsFloor = "al1.app.tls-floor",
    /// Puts a stack trace into the detail of the error about malformed JSON.
    ErrorFormat = "al1.app.error-format",
    /// Answers 500 instead of 429 beyond the limit (needs `Config::rate_limit`).
    RateLimit429 = "al1.app.rate-limit-429",
    /// GET of a user by id leaves schemas out.
    GetUserById = "al1.app.get-user-by-id",
    /// Answers the first page of all users with a bare array when no cursor is given.
    ListUsers = "al1.app.list-users",
    /// Gives one user more than count asks for on pages of all users.
    Pagination = "al1.app.pagination",
    /// Treats an unknown cursor as the first page, and a negative count as zero.
    PaginationCursorErrors = "al1.app.pagination-cursor-errors",
    /// Compares userName in filters with regard to letter case, although the schema says otherwise.
    FilterUsername = "al1.app.filter-username",
    /// A filter on externalId finds nobody.
    FilterExternalid = "al1.app.filter-externalid",
    /// Refuses filters with brackets as invalidFilter.
    FilterEmail = "al1.app.filter-email",
    /// Ignores filters that do not parse, and lists everybody.
    FilterInvalid = "al1.app.filter-invalid",
    /// Says patch.supported false while PATCH works.
    ServiceProviderConfig = "al1.app.service-provider-config",
    /// Leaves Group out of /ResourceTypes.
    ResourceTypes = "al1.app.resource-types",
    /// Leaves active out of the User schema.
    Schemas = "al1.app.schemas",
    /// GET of a user by id shows a password hash.
    PasswordNeverReturned = "al1.app.password-never-returned",
    /// Answers the creation of a user without Location.
    CreateUser = "al2.app.create-user",
    /// Drops primary from the emails of created users.
    CreateRequiredAttributes = "al2.app.create-required-attributes",
    /// Invents a userName for users created without.
    CreateMissingUsername = "al2.app.create-missing-username",
    /// Compares userName with regard to letter case where it must be unique.
    CreateDuplicate = "al2.app.create-duplicate",
    /// Adopts the id that the client sends on creation.
    CreateIgnoresReadonly = "al2.app.create-ignores-readonly",
    /// Replaces the entire name when one of its sub-attributes is replaced.
    UpdatePatchReplace = "al2.app.update-patch-replace",
    /// A replace by value filter keeps only the values it matched.
    UpdatePatchMultivalue = "al2.app.update-patch-multivalue",
    /// Keeps the operations before the one that failed.
    UpdatePatchAtomic = "al2.app.update-patch-atomic",
    /// Treats a PUT that leaves an attribute out as a creation: the user gets a new id.
    UpdatePut = "al2.app.update-put",
    /// Ignores userName in PATCH, with success.
    UpdateUsernameChange = "al2.app.update-username-change",
    /// PATCH remove of a whole attribute of a user does nothing, with success.
    AttributeRemoval = "al2.app.attribute-removal",
    /// Drops id from users when attributes or excludedAttributes is given.
    ExcludedAndAttributes = "al2.app.excluded-and-attributes",
    /// Ignores If-Match.
    EtagConflict = "al2.app.etag-conflict",
    /// Keeps names as Latin-1: other characters become question marks.
    UnicodeAndLength = "al2.app.unicode-and-length",
    /// Looks members up by their global id, whichever tenant asks.
    ScimOnlyOwnTenant = "al2.app.scim-only-own-tenant",
    /// Drops externalId of created groups.
    GroupCreate = "al2.app.group-create",
    /// Ignores excludedAttributes in lists of groups.
    GroupListFilter = "al2.app.group-list-filter",
    /// Ignores excludedAttributes on GET of a group by id.
    GroupGet = "al2.app.group-get",
    /// Adds a member a second time when it is there already.
    GroupAddMember = "al2.app.group-add-member",
    /// PATCH remove of one member by value filter wipes the whole list.
    GroupRemoveMember = "al2.app.group-remove-member",
    /// Refuses PATCH remove of all members.
    GroupRemoveAll = "al2.app.group-remove-all",
    /// PATCH remove of members with a value ignores the value and removes everyone.
    GroupRemoveWithValue = "al2.app.group-remove-with-value",
    /// Keeps member ids that nobody has.
    GroupUnknownMember = "al2.app.group-unknown-member",
    /// Wipes the members when displayName of a group is replaced by PATCH.
    GroupRename = "al2.app.group-rename",
    /// PATCH of groups through the user changes the membership.
    UserGroupsReadonly = "al2.app.user-groups-readonly",
    /// Shows no role: /Roles is empty, and /Schemas names no value.
    RolesExposed = "al3.app.roles-exposed",
    /// Lists the first role twice, the second time by another display name.
    RoleIdentifiers = "al3.app.role-identifiers",
    /// Omits supported of the roles that are supported.
    RolesResourceWellformed = "al3.app.roles-resource-wellformed",
    /// POST to /Roles makes a role.
    RolesReadonly = "al3.app.roles-readonly",
    /// Serves /Roles without any token.
    RolesNeedToken = "al3.app.roles-need-token",
    /// Shows only the roles of the start; later ones can be assigned all the same.
    NewRoleAppears = "al3.app.new-role-appears",
    /// Assigns roles that are not supported.
    UnsupportedRoleRefused = "al3.app.unsupported-role-refused",
    /// Keeps any role value that is nobody's value, letter case or display name.
    UnknownRoleRefused = "al3.app.unknown-role-refused",
    /// Matches roles by display name and without regard to letter case.
    RoleValueExact = "al3.app.role-value-exact",
    /// Keeps only the last of several roles.
    MultipleRoles = "al3.app.multiple-roles",
    /// Ignores the limit of assignments.
    RoleLimit = "al3.app.role-limit",
}

impl Quirk {
    /// The quirk that a clause must catch; `None` for clauses of other bindings and those that only a person can attest.
    pub fn for_clause(id: &str) -> Option<Quirk> {
        Quirk::ALL.iter().copied().find(|quirk| quirk.clause() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_quirk_has_its_own_clause_and_is_found_by_it() {
        let clauses: HashSet<&str> = Quirk::ALL.iter().map(|quirk| quirk.clause()).collect();
        assert_eq!(clauses.len(), Quirk::ALL.len());
        assert!(Quirk::ALL.iter().all(|quirk| Quirk::for_clause(quirk.clause()) == Some(*quirk)));
        assert_eq!(Quirk::for_clause("al1.app.audit-log"), None);
    }
}
