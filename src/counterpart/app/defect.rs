//! The deliberate defects of the reference application: one per executable clause, named after it.
//!
//! A defect departs from the conforming behaviour as little as the clause lets it. It is applied where that behaviour is, with
//! `app.has(Defect::X)`. A clause that states an effect of commands stands once per delivery binding; its defect shows in every one.

/// One table: documentation, variant and clause stand together, so that none can be forgotten.
macro_rules! defects {
    ($($(#[$doc:meta])* $name:ident = $clause:literal,)+) => {
        /// One deliberate departure from the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Defect {
            $($(#[$doc])* $name,)+
        }

        impl Defect {
            /// Every defect, in the order of the catalogue.
            pub const ALL: &[Defect] = &[$(Defect::$name,)+];

            /// The clause that must catch it; for clauses with one instance per delivery binding the id without `@binding`.
            pub fn clause(self) -> &'static str {
                match self {
                    $(Defect::$name => $clause,)+
                }
            }
        }
    };
}

defects! {
    /// Takes issuer plus /token for the token endpoint, whatever the metadata say.
    DiscoveryUsed = "sl1.app.discovery-used",
    /// Skips the issuer comparison on discovery and goes on with the issuer the metadata name.
    DiscoveryIssuerMismatch = "sl1.app.discovery-issuer-mismatch",
    /// Does not compare the host name on the token request (chain and dates are checked).
    TlsCertCheckToken = "sl1.app.tls-cert-check-token",
    /// Fetches metadata without any certificate verification.
    TlsCertCheckDiscovery = "sl1.app.tls-cert-check-discovery",
    /// Before each token request it begins a handshake of TLS 1.0 to 1.2 by hand, and goes on when TLS 1.1 is selected.
    Tls12MinimumClient = "sl1.app.tls12-minimum-client",
    /// Offers the CHACHA20-POLY1305 suites of TLS 1.2 as well.
    TlsClientCiphers = "sl1.app.tls-client-ciphers",
    /// Sends its redirect URI with the http scheme.
    RedirectUriHttps = "sl1.app.redirect-uri-https",
    /// Serves the login initiation endpoint in clear text.
    PlainHttpNotServed = "sl1.app.plain-http-not-served",
    /// Answers a TLS 1.1 ClientHello at the host of the redirect URI with a TLS 1.1 ServerHello.
    Tls12MinimumServer = "sl1.app.tls12-minimum-server",
    /// Selects TLS_RSA_WITH_AES_128_CBC_SHA at the host of the redirect URI when no recommended suite is offered.
    Tls12CiphersServer = "sl1.app.tls12-ciphers-server",
    /// Presents a certificate for another host name at the host of the back-channel endpoints.
    TlsCertificateValid = "sl1.app.tls-certificate-valid",
    /// Sends Strict-Transport-Security with max-age=0.
    Hsts = "sl1.app.hsts",
    /// Its DNS answers lack the AD flag, as for an unsigned zone.
    Dnssec = "sl1.app.dnssec",
    /// Sends response_type `code id_token`.
    ResponseTypeCode = "sl1.app.response-type-code",
    /// Leaves openid out of scope.
    AuthzRequestValid = "sl1.app.authz-request-valid",
    /// Sends code_challenge_method=plain, and the verifier as challenge.
    PkceS256 = "sl1.app.pkce-s256",
    /// Uses one verifier for all logins.
    PkceUnique = "sl1.app.pkce-unique",
    /// Derives the verifier from a time stamp.
    PkceVerifierValid = "sl1.app.pkce-verifier-valid",
    /// Sends no nonce.
    NonceSent = "sl1.app.nonce-sent",
    /// Sends a nonce of 100 characters.
    NonceLength = "sl1.app.nonce-length",
    /// Omits max_age.
    MaxAgeSent = "sl1.app.max-age-sent",
    /// Passes the provider's access token to its page in the query string after login.
    NoSecretsInFrontChannel = "sl1.app.no-secrets-in-front-channel",
    /// Redirects to any absolute returnTo after login.
    NoOpenRedirector = "sl1.app.no-open-redirector",
    /// Answers GET at the initiation endpoint with 404.
    ThirdPartyLogin = "sl1.app.third-party-login",
    /// Routes only GET to the initiation endpoint.
    ThirdPartyLoginPost = "sl1.app.third-party-login-post",
    /// Runs discovery on any iss, and sends the browser there.
    ThirdPartyUnknownIss = "sl1.app.third-party-unknown-iss",
    /// Redirects to target_link_uri unchecked after login.
    ThirdPartyTargetLink = "sl1.app.third-party-target-link",
    /// Drops login_hint.
    ThirdPartyLoginHint = "sl1.app.third-party-login-hint",
    /// Refuses unknown parameters at the initiation endpoint with 400.
    ThirdPartyExtraParams = "sl1.app.third-party-extra-params",
    /// Wants iss in the response but does not look at its value.
    IssParamWrongRefused = "sl1.app.iss-param-wrong-refused",
    /// Checks iss only when it is present.
    IssParamMissingRefused = "sl1.app.iss-param-missing-refused",
    /// Takes the browser's latest transaction when state is absent.
    StateMismatchRefused = "sl1.app.state-mismatch-refused",
    /// Finds transactions by state alone, whichever browser brings it.
    CrossBrowserResponseRefused = "sl1.app.cross-browser-response-refused",
    /// Keeps the transaction after use, and takes the same response again.
    ResponseReplayRefused = "sl1.app.response-replay-refused",
    /// Takes an id_token that is posted to the redirect URI in a pending transaction.
    FrontChannelTokenRefused = "sl1.app.front-channel-token-refused",
    /// Redeems the code a second time at the end of the login.
    CodeUsedOnce = "sl1.app.code-used-once",
    /// Sends another redirect_uri to the token endpoint than in the authorization request.
    TokenRequestValid = "sl1.app.token-request-valid",
    /// Names the token endpoint as aud of client assertions.
    AssertionAudIssuer = "sl1.app.assertion-aud-issuer",
    /// Uses one client assertion for ten minutes.
    AssertionFresh = "sl1.app.assertion-fresh",
    /// Signs client assertions with RS256.
    JwtAlg = "sl1.app.jwt-alg",
    /// Publishes an additional RSA key of 1024 bits (it signs nothing: the crypto library refuses such keys).
    KeyStrength = "sl1.app.key-strength",
    /// Sends no DPoP header to the token endpoint.
    DpopTokenRequest = "sl1.app.dpop-token-request",
    /// Omits ath from DPoP proofs.
    DpopUserinfo = "sl1.app.dpop-userinfo",
    /// Gives up when the token endpoint demands a nonce.
    DpopNonceAs = "sl1.app.dpop-nonce-as",
    /// Keeps one nonce for all servers, so that UserInfo is first asked with the token endpoint's.
    DpopNonceRs = "sl1.app.dpop-nonce-rs",
    /// Sends access_token in the query of the UserInfo request as well.
    AccessTokenInHeader = "sl1.app.access-token-in-header",
    /// Takes sub from UserInfo.
    UserinfoSubChecked = "sl1.app.userinfo-sub-checked",
    /// Accepts an ID token whose key is published although its signature does not verify.
    IdTokenSignatureRefused = "sl1.app.id-token-signature-refused",
    /// Accepts ID tokens with alg none.
    IdTokenNoneRefused = "sl1.app.id-token-none-refused",
    /// Takes the method from the header of the ID token, and the bytes of the published key as HMAC secret.
    IdTokenHmacRefused = "sl1.app.id-token-hmac-refused",
    /// Accepts ID tokens of any asymmetric algorithm that fits a published key.
    IdTokenUnlistedAlgRefused = "sl1.app.id-token-unlisted-alg-refused",
    /// Trusts the jwk header of an ID token.
    IdTokenForeignKeyRefused = "sl1.app.id-token-foreign-key-refused",
    /// Checks no key sizes: a signature by a published RSA key below 2048 bits is accepted (unverified, as the crypto library refuses such keys).
    IdTokenWeakKeyRefused = "sl1.app.id-token-weak-key-refused",
    /// Skips the iss check of ID tokens.
    IdTokenIssRefused = "sl1.app.id-token-iss-refused",
    /// Accepts ID tokens with any string as aud, or without one.
    IdTokenAudRefused = "sl1.app.id-token-aud-refused",
    /// Accepts an aud of several values when client_id is among them.
    IdTokenAudMultiRefused = "sl1.app.id-token-aud-multi-refused",
    /// Accepts an aud that is an array of one element.
    IdTokenAudArrayRefused = "sl1.app.id-token-aud-array-refused",
    /// Ignores exp of ID tokens.
    IdTokenExpiredRefused = "sl1.app.id-token-expired-refused",
    /// Ignores nbf of ID tokens.
    IdTokenFutureRefused = "sl1.app.id-token-future-refused",
    /// Uses email when sub is missing or empty.
    IdTokenSubRequired = "sl1.app.id-token-sub-required",
    /// Checks nonce only when the ID token has one.
    IdTokenNonceRefused = "sl1.app.id-token-nonce-refused",
    /// Builds the session from UserInfo when there is no readable ID token.
    IdTokenMissingRefused = "sl1.app.id-token-missing-refused",
    /// Ignores crit.
    IdTokenCritRefused = "sl1.app.id-token-crit-refused",
    /// Accepts any JWT with fitting iss, aud, exp and sub as ID token.
    IdTokenWrongTypeRefused = "sl1.app.id-token-wrong-type-refused",
    /// Fetches the JWK Set only once.
    KeyRotation = "sl1.app.key-rotation",
    /// Ignores auth_time, except after prompt=login.
    AuthTimeChecked = "sl1.app.auth-time-checked",
    /// Treats an encrypted ID token as malformed.
    EncryptedIdToken = "sl1.app.encrypted-id-token",
    /// Looks whether session_expiry is well-formed, and gives every session eight hours.
    SessionExpiryEnforced = "sl1.app.session-expiry-enforced",
    /// Checks the end of the session only on pages.
    SessionExpiryApi = "sl1.app.session-expiry-api",
    /// Pushes the end of the session forward at each request.
    SessionExpiryNotSliding = "sl1.app.session-expiry-not-sliding",
    /// Ends the session with exp of the ID token.
    SessionNotBoundToExp = "sl1.app.session-not-bound-to-exp",
    /// Keeps the first session_expiry of an account in a browser for good.
    SessionRenewedFromAssertion = "sl1.app.session-renewed-from-assertion",
    /// Treats a past session_expiry as no limit.
    SessionExpiryPastRefused = "sl1.app.session-expiry-past-refused",
    /// Treats a malformed session_expiry as no limit.
    SessionExpiryMalformed = "sl1.app.session-expiry-malformed",
    /// Extends the session when the refresh fails.
    RefreshRevalidation = "sl1.app.refresh-revalidation",
    /// Counts its session ids.
    SessionCookieEntropy = "sl1.app.session-cookie-entropy",
    /// Keeps the session id of before the login.
    SessionCookieFlags = "sl1.app.session-cookie-flags",
    /// Finds accounts by iss and sub only.
    SubjectTenantUnique = "sl1.app.subject-tenant-unique",
    /// Finds accounts by tenant and sub only.
    SubjectIssuerUnique = "sl1.app.subject-issuer-unique",
    /// Finds accounts by email.
    NoEmailMatching = "sl1.app.no-email-matching",
    /// Gives the provider's access token to the browser (a cookie), and takes it at its own API.
    AccessTokenIdentityOnly = "sl1.app.access-token-identity-only",
    /// Accepts any acr.
    TransactionTermsChecked = "sl1.app.transaction-terms-checked",
    /// Redeems any code that a browser without a transaction brings to the redirect URI.
    UnsolicitedCodeRefused = "sl2.app.unsolicited-code-refused",
    /// Signs a browser without a transaction in from any valid id_token parameter at the redirect URI.
    UnsolicitedIdTokenRefused = "sl2.app.unsolicited-id-token-refused",
    /// Redeems code parameters at the initiation endpoint.
    InitiatedLoginOwnTransaction = "sl2.app.initiated-login-own-transaction",
    /// Keeps a transaction valid for further codes until it expires.
    TransactionSingleUse = "sl2.app.transaction-single-use",
    /// Drops acr_values.
    RequestsMethods = "sl2.app.requests-methods",
    /// Accepts an ID token without acr although a class was asked for.
    ReturnedAcrChecked = "sl2.app.returned-acr-checked",
    /// Accepts an auth_time of up to 65 minutes ago, whatever was asked for, and any after prompt=login.
    ReturnedAuthTimeChecked = "sl2.app.returned-auth-time-checked",
    /// A command ends the session for everything but pages.
    ReauthBeforePage = "sl2.app.reauth-before-page",
    /// A command ends the session for everything but the profile form.
    ReauthBeforeStateChange = "sl2.app.reauth-before-state-change",
    /// Re-creates a session that a command ended from its refresh token.
    ReauthNotSilent = "sl2.app.reauth-not-silent",
    /// Sends no prompt after a command.
    ReauthAsksFresh = "sl2.app.reauth-asks-fresh",
    /// A command leaves the user's most recent session alive.
    RevokeAllSessions = "sl2.app.revoke-all-sessions",
    /// A command leaves the refresh tokens of the application alive.
    RevokeAppTokens = "sl2.app.revoke-app-tokens",
    /// A command ends the sessions of all users.
    RevokeOthersUnaffected = "sl2.app.revoke-others-unaffected",
    /// A command suspends the account.
    ReloginAfterRevoke = "sl2.app.relogin-after-revoke",
    /// Remembers no jti of commands and logout tokens, and does not compare iat with the start of the session.
    CommandThenNewSessionSurvives = "sl2.app.command-then-new-session-survives",
    /// Leaves invalidate out of commands_supported.
    CommandMetadata = "sl2.app.command-metadata",
    /// Answers invalidate without Cache-Control.
    CommandInvalidateResponse = "sl2.app.command-invalidate-response",
    /// Skips signature verification of Command Tokens.
    CommandForgedRefused = "sl2.app.command-forged-refused",
    /// Does not check typ of Command Tokens.
    CommandTypRequired = "sl2.app.command-typ-required",
    /// Accepts an expired Command Token.
    CommandClaimsChecked = "sl2.app.command-claims-checked",
    /// Treats unknown commands as success.
    CommandUnknownRefused = "sl2.app.command-unknown-refused",
    /// Answers invalidate for unknown accounts with 200.
    CommandUnknownAccount = "sl2.app.command-unknown-account",
    /// Finds the account of a command by sub only.
    CommandTenantBound = "sl2.app.command-tenant-bound",
    /// Refuses logout tokens without sid.
    BclAccepts = "sl2.app.bcl-accepts",
    /// Ends all sessions of the user although the logout token names one by sid.
    BclSidScope = "sl2.app.bcl-sid-scope",
    /// Accepts logout tokens with alg none.
    BclForgedRefused = "sl2.app.bcl-forged-refused",
    /// Accepts logout tokens with a nonce.
    BclClaimsChecked = "sl2.app.bcl-claims-checked",
    /// Answers a replayed logout token with success (it then has no effect).
    BclReplay = "sl2.app.bcl-replay",
    /// Expects the member name `subject` in revocation requests.
    GtrAccepts = "sl2.app.gtr-accepts",
    /// Accepts any bearer token for revocation.
    GtrAuthRequired = "sl2.app.gtr-auth-required",
    /// Answers unknown subject identifier formats with 500.
    GtrErrors = "sl2.app.gtr-errors",
    /// Revokes users of either issuer with either credential.
    GtrTenantBound = "sl2.app.gtr-tenant-bound",
    /// Leaves global_token_revocation_endpoint out of its metadata.
    GtrAdvertised = "sl2.app.gtr-advertised",
    /// Suspension ends nothing: sessions and tokens are refused while the account is inactive, and work again afterwards.
    ReactivationRevivesNoSession = "al1.app.reactivation-revives-no-session",
    /// Suspends and deletes in its data only: sign-ins and sessions go on.
    AnyOneWay = "al1.app.any-one-way",
    /// Asks whether the account is active at the sign-in only.
    SessionEnds = "al1.app.session-ends",
    /// Suspension leaves refresh tokens of the application alive.
    AccessMechanisms = "al1.app.access-mechanisms",
    /// A sign-in makes a suspended account active.
    SigninRefused = "al1.app.signin-refused",
    /// The local login and the reset of a password sign suspended users in.
    NoBypassSignin = "al1.app.no-bypass-signin",
    /// The first sign-in of a provisioned user leaves a second user in the data.
    CreatedUserSignsIn = "al2.app.created-user-signs-in",
    /// Users who were never active may sign in.
    NoSigninBeforeActive = "al2.app.no-signin-before-active",
    /// Pages show the display name of the first sign-in.
    UpdateVisibleToUser = "al2.app.update-visible-to-user",
    /// The administrator can create users.
    LocalCreateRefused = "al2.app.local-create-refused",
    /// Users can edit their display name.
    LocalUpdateRefused = "al2.app.local-update-refused",
    /// The administrator can delete users, and users their own account.
    LocalDeleteRefused = "al2.app.local-delete-refused",
    /// The administrator can add members to groups.
    LocalGroupEditRefused = "al2.app.local-group-edit-refused",
    /// A sign-up makes an account in the managed tenant.
    SelfSignupRefused = "al2.app.self-signup-refused",
    /// Accounts that a sign-in made do not appear in SCIM.
    JitUserIsManaged = "al2.app.jit-user-is-managed",
    /// The name of a sign-in overwrites the provisioned display name.
    JitDoesNotOverwrite = "al2.app.jit-does-not-overwrite",
    /// The members of a deleted group keep the role it gave.
    GroupDelete = "al2.app.group-delete",
    /// Groups give no role.
    MappingEffective = "al2.app.mapping-effective",
    /// Who leaves a group keeps the role it gave.
    MappingRemoved = "al2.app.mapping-removed",
    /// A group without mapping gives the role of the same name.
    MappingUnmappedGroup = "al2.app.mapping-unmapped-group",
    /// Of several mapped groups only the last one gives its role.
    MappingManyGroups = "al2.app.mapping-many-groups",
    /// The administrator can give a role to users who hold none by the identity service; it does not appear in SCIM.
    MappingNotClientSupplied = "al2.app.mapping-not-client-supplied",
    /// Takes the groups of UserInfo, whoever they belong to.
    GroupClaimSourceTrusted = "al2.app.group-claim-source-trusted",
    /// SCIM leaves out a role that the administrator sees.
    RolesComplete = "al3.app.roles-complete",
    /// Keeps assigned roles in its data, and gives nothing for them.
    AssignRole = "al3.app.assign-role",
    /// A role that was removed stays in effect.
    RemoveRole = "al3.app.remove-role",
    /// Reactivation restores the roles of the time of the suspension.
    RoleSurvivesSuspension = "al3.app.role-survives-suspension",
    /// The administrator can change the roles that the identity service assigned.
    LocalRoleChangeRefused = "al3.app.local-role-change-refused",
    /// Answers a suspend command with `suspended` and keeps the account active.
    CmdSuspend = "al1.app.cmd-suspend",
    /// Refuses reactivate.
    CmdReactivate = "al1.app.cmd-reactivate",
    /// Deletes an account that shall be archived.
    CmdArchiveRestore = "al1.app.cmd-archive-restore",
    /// Hides a deleted account, and brings its data back with the next activate.
    CmdDelete = "al1.app.cmd-delete",
    /// Answers a suspend of a suspended account with 200.
    CmdIncompatibleState = "al1.app.cmd-incompatible-state",
    /// Does not check typ of tokens with account commands other than invalidate.
    CmdTokenChecks = "al1.app.cmd-token-checks",
    /// Trusts any issuer whose metadata can be read.
    CmdUnrecognizedProvider = "al1.app.cmd-unrecognized-provider",
    /// Answers 200 to unknown commands.
    CmdUnsupported = "al1.app.cmd-unsupported",
    /// Leaves context out of the metadata response.
    CmdMetadata = "al1.app.cmd-metadata",
    /// Answers account commands other than invalidate without Cache-Control.
    CmdResponseForm = "al1.app.cmd-response-form",
    /// Suspends the first two accounts of a tenant only, as if the others stood on another page.
    CmdSuspendTenant = "al1.app.cmd-suspend-tenant",
    /// Ignores Last-Event-Id, and sends the first two events of a stream that shall be resumed.
    CmdStreamResume = "al1.app.cmd-stream-resume",
    /// Reports total_accounts one too high in the answer to audit_tenant.
    CmdAuditTenant = "al1.app.cmd-audit-tenant",
    /// Remembers no jti of commands other than invalidate.
    CmdReplay = "al1.app.cmd-replay",
    /// Never calls back after an asynchronous command.
    CmdAsyncCallback = "al1.app.cmd-async-callback",
    /// Makes activated accounts suspended.
    CmdActivate = "al2.app.cmd-activate",
    /// Takes activate of an existing account for an update.
    CmdActivateExisting = "al2.app.cmd-activate-existing",
    /// Ignores the claims of maintain, but for groups and roles.
    CmdMaintain = "al2.app.cmd-maintain",
    /// Lets managed users change their profile, and answers an audit with what was pushed last.
    CmdAuditModified = "al2.app.cmd-audit-modified",
    /// Ignores groups in commands.
    CmdGroupsClaim = "al2.app.cmd-groups-claim",
    /// Keeps the local password after a migration to the provider alone.
    CmdMigrate = "al2.app.cmd-migrate",
    /// Leaves roles out of the metadata response.
    CmdMetadataRoles = "al3.app.cmd-metadata-roles",
    /// Ignores roles in commands.
    CmdRolesApplied = "al3.app.cmd-roles-applied",
    /// Never asks for a new metadata command.
    CmdMetadataRefresh = "al3.app.cmd-metadata-refresh",
}

impl Defect {
    /// The defect that a clause must catch, with or without `@binding`; `None` for clauses that only a person can attest.
    pub fn for_clause(id: &str) -> Option<Defect> {
        let id = id.split('@').next().unwrap_or(id);
        Defect::ALL.iter().copied().find(|defect| defect.clause() == id)
    }
}

#[cfg(test)]
#[path = "defect_tests.rs"]
mod tests;
