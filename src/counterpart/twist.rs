//! The deliberate defects of the reference identity service: one per executable clause, named after it.
//!
//! A defect departs from the conforming behaviour as little as the clause lets it. It is applied where that behaviour is, with
//! `op.twist(Twist::X)`, never in a server of its own. `fixtures/defects.toml` says which other clauses a defect breaks along.

/// One table: documentation, variant and clause stand together, so that none can be forgotten.
macro_rules! twists {
    ($($(#[$doc:meta])* $name:ident = $clause:literal,)+) => {
        /// One deliberate departure from the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Twist {
            $($(#[$doc])* $name,)+
        }

        impl Twist {
            /// Every defect, in the order of the catalogue.
            pub const ALL: &[Twist] = &[$(Twist::$name,)+];

            /// The clause that must catch it.
            pub fn clause(self) -> &'static str {
                match self {
                    $(Twist::$name => $clause,)+
                }
            }
        }
    };
}

twists! {
    /// Leaves jwks_uri out of the metadata document.
    DiscoveryPublished = "sl1.idp.discovery-published",
    /// Publishes the issuer with a trailing slash that the tokens and the configuration do not have.
    DiscoveryIssuerMatch = "sl1.idp.discovery-issuer-match",
    /// Advertises userinfo_endpoint with the http scheme.
    EndpointsHttps = "sl1.idp.endpoints-https",
    /// Serves the token endpoint on the clear-text port.
    PlainHttpNotServed = "sl1.idp.plain-http-not-served",
    /// Answers a TLS 1.1 ClientHello at the issuer host with a TLS 1.1 ServerHello.
    Tls12Minimum = "sl1.idp.tls12-minimum",
    /// Selects TLS_RSA_WITH_AES_128_CBC_SHA at the API host when no recommended suite is offered.
    Tls12CiphersBackchannel = "sl1.idp.tls12-ciphers-backchannel",
    /// Selects TLS_RSA_WITH_3DES_EDE_CBC_SHA at the issuer host when no recommended suite is offered.
    Tls12CiphersBrowser = "sl1.idp.tls12-ciphers-browser",
    /// Presents a certificate for another host name on the UserInfo endpoint.
    TlsCertificateValid = "sl1.idp.tls-certificate-valid",
    /// Drops Strict-Transport-Security from all responses.
    HstsBrowserEndpoints = "sl1.idp.hsts-browser-endpoints",
    /// Answers DNS questions without the AD flag, as for an unsigned zone.
    Dnssec = "sl1.idp.dnssec",
    /// Reflects the Origin header in Access-Control-Allow-Origin on the authorization endpoint.
    NoCorsAuthorization = "sl1.idp.no-cors-authorization",
    /// Publishes an additional RSA signing key of 1024 bits (it signs nothing: the crypto library refuses such keys).
    JwksKeyStrength = "sl1.idp.jwks-key-strength",
    /// Publishes the signing key with a `d` member (random bytes: the real private key stays private).
    JwksPublicOnly = "sl1.idp.jwks-public-only",
    /// Lists none in id_token_signing_alg_values_supported.
    AlgNoneNotOffered = "sl1.idp.alg-none-not-offered",
    /// Lists only RS256.
    RecommendedAlgOffered = "sl1.idp.recommended-alg-offered",
    /// Announces code_challenge_methods_supported as plain only while enforcing S256.
    MetadataAgrees = "sl1.idp.metadata-agrees",
    /// Accepts registrations without an initial access token.
    NoOpenDcr = "sl1.idp.no-open-dcr",
    /// Treats an unknown https `client_id` as a valid public client with whatever redirect URI it sends.
    PreregistrationRequired = "sl1.idp.preregistration-required",
    /// Registers a redirect URI that ends in an asterisk, and expands it.
    WildcardRegistrationRefused = "sl1.idp.wildcard-registration-refused",
    /// Leaves the password grant enabled for confidential clients.
    NoPasswordGrant = "sl1.idp.no-password-grant",
    /// Skips client authentication when code_verifier is right.
    ClientAuthRequired = "sl1.idp.client-auth-required",
    /// Accepts only the token endpoint URL as aud.
    AssertionAudIssuerAccepted = "sl1.idp.assertion-aud-issuer-accepted",
    /// Accepts issuer or token endpoint as aud.
    AssertionAudTokenEndpointRefused = "sl1.idp.assertion-aud-token-endpoint-refused",
    /// Normalises aud to a list before comparing.
    AssertionAudArrayRefused = "sl1.idp.assertion-aud-array-refused",
    /// Does not check aud at all.
    AssertionAudForeignRefused = "sl1.idp.assertion-aud-foreign-refused",
    /// Accepts RS256 client assertions.
    AssertionAlgRestricted = "sl1.idp.assertion-alg-restricted",
    /// Ignores exp in client assertions.
    AssertionExpiredRefused = "sl1.idp.assertion-expired-refused",
    /// Keeps no jti store.
    AssertionReplayRefused = "sl1.idp.assertion-replay-refused",
    /// Returns the state URL-decoded once more than it should (visible for a state with a percent sign or a plus).
    ResponseTypeCode = "sl1.idp.response-type-code",
    /// Takes `code id_token` for `code`: a code comes back for a type that was never required to be `code`.
    OtherResponseTypesRefused = "sl1.idp.other-response-types-refused",
    /// Adds id_token to the query of the authorization response.
    NoFrontChannelAssertion = "sl1.idp.no-front-channel-assertion",
    /// Requires PKCE from public clients only (not for pushed requests, which have a clause of their own).
    PkceRequired = "sl1.idp.pkce-required",
    /// Accepts plain when the method parameter is absent.
    PkcePlainRefused = "sl1.idp.pkce-plain-refused",
    /// Skips the comparison when code_verifier is absent.
    PkceVerifierChecked = "sl1.idp.pkce-verifier-checked",
    /// Redirects errors to whatever redirect_uri was sent.
    RedirectUnregisteredRefused = "sl1.idp.redirect-unregistered-refused",
    /// Compares by prefix.
    RedirectExactMatch = "sl1.idp.redirect-exact-match",
    /// Compares redirect URIs without the scheme.
    RedirectHttpRefused = "sl1.idp.redirect-http-refused",
    /// Defaults to the single registered URI.
    RedirectUriMandatory = "sl1.idp.redirect-uri-mandatory",
    /// Truncates nonce to 32 characters.
    Nonce64 = "sl1.idp.nonce-64",
    /// Honours `return_to` for any absolute URL after login.
    NoOpenRedirectorAuthz = "sl1.idp.no-open-redirector-authz",
    /// Redirects to any post_logout_redirect_uri.
    NoOpenRedirectorLogout = "sl1.idp.no-open-redirector-logout",
    /// Processes request objects with alg none.
    RequestObjectNoneRefused = "sl1.idp.request-object-none-refused",
    /// Answers invalid_request for unknown parameters.
    UnknownParametersIgnored = "sl1.idp.unknown-parameters-ignored",
    /// Skips the PKCE check for pushed requests.
    ParSameRules = "sl1.idp.par-same-rules",
    /// Removes both headers from the login page.
    ClickjackingProtection = "sl1.idp.clickjacking-protection",
    /// Omits iss from the response.
    IssInResponse = "sl1.idp.iss-in-response",
    /// Adds iss on success responses only.
    IssInErrorResponse = "sl1.idp.iss-in-error-response",
    /// Answers the POST of the one-time code with 307 to the redirect URI.
    No307 = "sl1.idp.no-307",
    /// Uses 302 everywhere.
    Redirect303 = "sl1.idp.redirect-303",
    /// Issues codes of 16 hexadecimal digits.
    CodeEntropy = "sl1.idp.code-entropy",
    /// Deletes codes lazily, ten seconds after use.
    CodeSingleUse = "sl1.idp.code-single-use",
    /// Ignores the grant when a code is reused.
    CodeReuseRevokes = "sl1.idp.code-reuse-revokes",
    /// Sets code lifetime to 120 s.
    CodeLifetime60 = "sl1.idp.code-lifetime-60",
    /// Does not compare client_id at redemption.
    CodeBoundToClient = "sl1.idp.code-bound-to-client",
    /// Ignores redirect_uri at the token endpoint.
    CodeBoundToRedirectUri = "sl1.idp.code-bound-to-redirect-uri",
    /// Drops Cache-Control from the token response.
    TokenResponseNoStore = "sl1.idp.token-response-no-store",
    /// Issues access and refresh tokens of 10 decimal digits.
    TokenEntropy = "sl1.idp.token-entropy",
    /// Issues JWT access tokens that also name an unrelated API in `aud` and `scope`.
    AccessTokenIdentityOnly = "sl1.idp.access-token-identity-only",
    /// Ignores the DPoP header.
    DpopOffered = "sl1.idp.dpop-offered",
    /// Accepts DPoP tokens under the Bearer scheme.
    DpopBindingEnforced = "sl1.idp.dpop-binding-enforced",
    /// Answers invalid_client to every request without a secret.
    PublicClient = "sl1.idp.public-client",
    /// Neither rotates refresh tokens of public clients nor binds them to a key.
    PublicRefreshProtected = "sl1.idp.public-refresh-protected",
    /// Returns the internal user id as sub at UserInfo.
    UserinfoSubEqual = "sl1.idp.userinfo-sub-equal",
    /// Drops session_expiry from refreshed ID tokens.
    RefreshNewIdToken = "sl1.idp.refresh-new-id-token",
    /// Does not look at account state on refresh.
    RefreshStopsForDisabledUser = "sl1.idp.refresh-stops-for-disabled-user",
    /// Ignores the client on refresh.
    RefreshBoundToClient = "sl1.idp.refresh-bound-to-client",
    /// Signs with a key that is not in the JWK Set.
    IdTokenSigned = "sl1.idp.id-token-signed",
    /// Signs with RS256.
    IdTokenAlg = "sl1.idp.id-token-alg",
    /// Puts the tenant alias host into iss.
    IdTokenIss = "sl1.idp.id-token-iss",
    /// Emits aud as a one-element array.
    IdTokenAudString = "sl1.idp.id-token-aud-string",
    /// Emits exp as a string.
    IdTokenTimes = "sl1.idp.id-token-times",
    /// Sets ID token lifetime to 24 hours.
    IdTokenShortValidity = "sl1.idp.id-token-short-validity",
    /// Returns a random sub per login.
    IdTokenSub = "sl1.idp.id-token-sub",
    /// Uses a constant jti.
    AssertionIdentifier = "sl1.idp.assertion-identifier",
    /// Emits acr only when acr_values was requested.
    IdTokenAcr = "sl1.idp.id-token-acr",
    /// Emits amr as a space-separated string.
    IdTokenAmr = "sl1.idp.id-token-amr",
    /// Adds the value authenticator_app.
    AmrRegistered = "sl1.idp.amr-registered",
    /// Emits auth_time only with max_age.
    IdTokenAuthTime = "sl1.idp.id-token-auth-time",
    /// Sets auth_time to the time of issue.
    AuthTimeUnchangedOnSso = "sl1.idp.auth-time-unchanged-on-sso",
    /// Emits session_expiry as a number of seconds from now.
    IdTokenSessionExpiry = "sl1.idp.id-token-session-expiry",
    /// Hard-codes a session lifetime of eight hours.
    SessionExpiryControllable = "sl1.idp.session-expiry-controllable",
    /// Emits tenant as an object.
    TenantClaimForm = "sl1.idp.tenant-claim-form",
    /// Ignores id_token_encrypted_response_alg.
    IdTokenEncryptionOffered = "sl1.idp.id-token-encryption-offered",
    /// Computes the pairwise value from the user id alone.
    PairwiseOffered = "sl1.idp.pairwise-offered",
    /// Always adds email and groups to the ID token.
    AttributeMinimisation = "sl1.idp.attribute-minimisation",
    /// Issues a code when prompt=none is sent while the second factor is pending.
    MfaEnforced = "sl1.idp.mfa-enforced",
    /// Reports amr `["pwd"]` after a password plus one-time-code login.
    MfaReported = "sl1.idp.mfa-reported",
    /// Ignores a positive max_age in interactive requests.
    MaxAgeReauth = "sl1.idp.max-age-reauth",
    /// Answers invalid_request when max_age is above ten minutes.
    MaxAgeNotReached = "sl1.idp.max-age-not-reached",
    /// Evaluates prompt=none before max_age.
    MaxAgePromptNone = "sl1.idp.max-age-prompt-none",
    /// Treats max_age=0 as absent.
    MaxAgeZero = "sl1.idp.max-age-zero",
    /// Sends an unrequested code to the redirect URI from the portal.
    PortalStartsAtRp = "sl1.idp.portal-starts-at-rp",
    /// Routes only GET.
    AuthzPost = "sl1.idp.authz-post",
    /// Ignores tenant and answer with the session's other tenant.
    EnterpriseHintsHonoured = "sl1.idp.enterprise-hints-honoured",
    /// Ignores acr_values.
    AcrValuesHonoured = "sl2.idp.acr-values-honoured",
    /// Reuses the session and writes the requested class into acr.
    AcrStepUp = "sl2.idp.acr-step-up",
    /// Copies acr_values into acr (visible for a class that nobody defined).
    AcrNeverOverstated = "sl2.idp.acr-never-overstated",
    /// Treats an essential acr as voluntary (for classes that nobody defined).
    AcrEssentialClaim = "sl2.idp.acr-essential-claim",
    /// Answers without acr when the user cannot reach the class.
    AcrUnsatisfiable = "sl2.idp.acr-unsatisfiable",
    /// Looks at the last value of acr_values only.
    AcrOrder = "sl2.idp.acr-order",
    /// Leaves acr_values_supported out of the metadata.
    AcrSupportedAdvertised = "sl2.idp.acr-supported-advertised",
    /// Ignores prompt=login.
    PromptLogin = "sl2.idp.prompt-login",
    /// Shows the login page for prompt=none without a session.
    PromptNoneNoSession = "sl2.idp.prompt-none-no-session",
    /// Answers login_required to every prompt=none.
    PromptNoneSession = "sl2.idp.prompt-none-session",
    /// Skips the check of an essential class under prompt=none.
    PromptNoneInsufficient = "sl2.idp.prompt-none-insufficient",
    /// Evaluates only acr_values when max_age comes with it.
    AcrWithMaxAge = "sl2.idp.acr-with-max-age",
    /// Leaves amr as at the first login.
    AmrMatchesRequest = "sl2.idp.amr-matches-request",
    /// Ignores id_token_hint.
    IdTokenHintOtherUser = "sl2.idp.id-token-hint-other-user",
    /// Takes acr_values of the query over those that were pushed.
    RequestIntegrityPar = "sl2.idp.request-integrity-par",
    /// Puts nonce into the Command Token.
    CommandInvalidateWellformed = "sl2.idp.command-invalidate-wellformed",
    /// Leaves the events claim out of the logout token.
    LogoutTokenWellformed = "sl2.idp.logout-token-wellformed",
    /// Sends the revocation request without Authorization.
    GlobalRevocationWellformed = "sl2.idp.global-revocation-wellformed",
    /// Keeps the session cookie valid when an administrator revokes the user's sessions.
    RevokedSessionNeedsLogin = "sl2.idp.revoked-session-needs-login",
}

impl Twist {
    /// The defect that a clause must catch; `None` for clauses that only a person can attest.
    pub fn for_clause(id: &str) -> Option<Twist> {
        Twist::ALL.iter().copied().find(|twist| twist.clause() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_clause_has_one_defect_and_is_found_by_its_id() {
        let clauses: HashSet<&str> = Twist::ALL.iter().map(|twist| twist.clause()).collect();
        assert_eq!(clauses.len(), Twist::ALL.len());
        let of = |level: &str| Twist::ALL.iter().filter(|twist| twist.clause().starts_with(level)).count();
        assert_eq!(of("sl1.idp."), 94, "97 clauses, three of them attested only");
        assert_eq!(of("sl2.idp."), 19, "20 clauses, one of them of a binding that is not tested yet");
        for twist in Twist::ALL {
            assert_eq!(Twist::for_clause(twist.clause()), Some(*twist));
        }
        for attested in ["sl1.idp.complete-redirect-registration", "sl1.idp.sub-never-reassigned", "sl1.idp.federation-hint"] {
            assert_eq!(Twist::for_clause(attested), None);
        }
    }
}
