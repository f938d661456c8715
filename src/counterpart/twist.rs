//! The deliberate defects of the reference identity service: one per executable clause, named after it.
//!
//! A defect departs from the conforming behaviour as little as the clause lets it. It is applied where that behaviour is, with
//! `op.twist(Twist::X)`, never in a server of its own. `fixtures/defects.toml` says which other clauses a defect breaks along.

/// One table: documentation, variant and clause stand together, so that none can be forgotten.
macro_rules! twists {
    ($($(#[$doc:meta])* $name:ident = $slug:literal,)+) => {
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
                    $(Twist::$name => concat!("sl1.idp.", $slug),)+
                }
            }
        }
    };
}

twists! {
    /// Leaves jwks_uri out of the metadata document.
    DiscoveryPublished = "discovery-published",
    /// Publishes the issuer with a trailing slash that the tokens and the configuration do not have.
    DiscoveryIssuerMatch = "discovery-issuer-match",
    /// Advertises userinfo_endpoint with the http scheme.
    EndpointsHttps = "endpoints-https",
    /// Serves the token endpoint on the clear-text port.
    PlainHttpNotServed = "plain-http-not-served",
    /// Answers a TLS 1.1 ClientHello at the issuer host with a TLS 1.1 ServerHello.
    Tls12Minimum = "tls12-minimum",
    /// Selects TLS_RSA_WITH_AES_128_CBC_SHA at the API host when no recommended suite is offered.
    Tls12CiphersBackchannel = "tls12-ciphers-backchannel",
    /// Selects TLS_RSA_WITH_3DES_EDE_CBC_SHA at the issuer host when no recommended suite is offered.
    Tls12CiphersBrowser = "tls12-ciphers-browser",
    /// Presents a certificate for another host name on the UserInfo endpoint.
    TlsCertificateValid = "tls-certificate-valid",
    /// Drops Strict-Transport-Security from all responses.
    HstsBrowserEndpoints = "hsts-browser-endpoints",
    /// Answers DNS questions without the AD flag, as for an unsigned zone.
    Dnssec = "dnssec",
    /// Reflects the Origin header in Access-Control-Allow-Origin on the authorization endpoint.
    NoCorsAuthorization = "no-cors-authorization",
    /// Publishes an additional RSA signing key of 1024 bits (it signs nothing: the crypto library refuses such keys).
    JwksKeyStrength = "jwks-key-strength",
    /// Publishes the signing key with a `d` member (random bytes: the real private key stays private).
    JwksPublicOnly = "jwks-public-only",
    /// Lists none in id_token_signing_alg_values_supported.
    AlgNoneNotOffered = "alg-none-not-offered",
    /// Lists only RS256.
    RecommendedAlgOffered = "recommended-alg-offered",
    /// Announces code_challenge_methods_supported as plain only while enforcing S256.
    MetadataAgrees = "metadata-agrees",
    /// Accepts registrations without an initial access token.
    NoOpenDcr = "no-open-dcr",
    /// Treats an unknown https `client_id` as a valid public client with whatever redirect URI it sends.
    PreregistrationRequired = "preregistration-required",
    /// Registers a redirect URI that ends in an asterisk, and expands it.
    WildcardRegistrationRefused = "wildcard-registration-refused",
    /// Leaves the password grant enabled for confidential clients.
    NoPasswordGrant = "no-password-grant",
    /// Skips client authentication when code_verifier is right.
    ClientAuthRequired = "client-auth-required",
    /// Accepts only the token endpoint URL as aud.
    AssertionAudIssuerAccepted = "assertion-aud-issuer-accepted",
    /// Accepts issuer or token endpoint as aud.
    AssertionAudTokenEndpointRefused = "assertion-aud-token-endpoint-refused",
    /// Normalises aud to a list before comparing.
    AssertionAudArrayRefused = "assertion-aud-array-refused",
    /// Does not check aud at all.
    AssertionAudForeignRefused = "assertion-aud-foreign-refused",
    /// Accepts RS256 client assertions.
    AssertionAlgRestricted = "assertion-alg-restricted",
    /// Ignores exp in client assertions.
    AssertionExpiredRefused = "assertion-expired-refused",
    /// Keeps no jti store.
    AssertionReplayRefused = "assertion-replay-refused",
    /// Returns the state URL-decoded once more than it should (visible for a state with a percent sign or a plus).
    ResponseTypeCode = "response-type-code",
    /// Takes `code id_token` for `code`: a code comes back for a type that was never required to be `code`.
    OtherResponseTypesRefused = "other-response-types-refused",
    /// Adds id_token to the query of the authorization response.
    NoFrontChannelAssertion = "no-front-channel-assertion",
    /// Requires PKCE from public clients only (not for pushed requests, which have a clause of their own).
    PkceRequired = "pkce-required",
    /// Accepts plain when the method parameter is absent.
    PkcePlainRefused = "pkce-plain-refused",
    /// Skips the comparison when code_verifier is absent.
    PkceVerifierChecked = "pkce-verifier-checked",
    /// Redirects errors to whatever redirect_uri was sent.
    RedirectUnregisteredRefused = "redirect-unregistered-refused",
    /// Compares by prefix.
    RedirectExactMatch = "redirect-exact-match",
    /// Compares redirect URIs without the scheme.
    RedirectHttpRefused = "redirect-http-refused",
    /// Defaults to the single registered URI.
    RedirectUriMandatory = "redirect-uri-mandatory",
    /// Truncates nonce to 32 characters.
    Nonce64 = "nonce-64",
    /// Honours `return_to` for any absolute URL after login.
    NoOpenRedirectorAuthz = "no-open-redirector-authz",
    /// Redirects to any post_logout_redirect_uri.
    NoOpenRedirectorLogout = "no-open-redirector-logout",
    /// Processes request objects with alg none.
    RequestObjectNoneRefused = "request-object-none-refused",
    /// Answers invalid_request for unknown parameters.
    UnknownParametersIgnored = "unknown-parameters-ignored",
    /// Skips the PKCE check for pushed requests.
    ParSameRules = "par-same-rules",
    /// Removes both headers from the login page.
    ClickjackingProtection = "clickjacking-protection",
    /// Omits iss from the response.
    IssInResponse = "iss-in-response",
    /// Adds iss on success responses only.
    IssInErrorResponse = "iss-in-error-response",
    /// Answers the POST of the one-time code with 307 to the redirect URI.
    No307 = "no-307",
    /// Uses 302 everywhere.
    Redirect303 = "redirect-303",
    /// Issues codes of 16 hexadecimal digits.
    CodeEntropy = "code-entropy",
    /// Deletes codes lazily, ten seconds after use.
    CodeSingleUse = "code-single-use",
    /// Ignores the grant when a code is reused.
    CodeReuseRevokes = "code-reuse-revokes",
    /// Sets code lifetime to 120 s.
    CodeLifetime60 = "code-lifetime-60",
    /// Does not compare client_id at redemption.
    CodeBoundToClient = "code-bound-to-client",
    /// Ignores redirect_uri at the token endpoint.
    CodeBoundToRedirectUri = "code-bound-to-redirect-uri",
    /// Drops Cache-Control from the token response.
    TokenResponseNoStore = "token-response-no-store",
    /// Issues access and refresh tokens of 10 decimal digits.
    TokenEntropy = "token-entropy",
    /// Issues JWT access tokens that also name an unrelated API in `aud` and `scope`.
    AccessTokenIdentityOnly = "access-token-identity-only",
    /// Ignores the DPoP header.
    DpopOffered = "dpop-offered",
    /// Accepts DPoP tokens under the Bearer scheme.
    DpopBindingEnforced = "dpop-binding-enforced",
    /// Answers invalid_client to every request without a secret.
    PublicClient = "public-client",
    /// Neither rotates refresh tokens of public clients nor binds them to a key.
    PublicRefreshProtected = "public-refresh-protected",
    /// Returns the internal user id as sub at UserInfo.
    UserinfoSubEqual = "userinfo-sub-equal",
    /// Drops session_expiry from refreshed ID tokens.
    RefreshNewIdToken = "refresh-new-id-token",
    /// Does not look at account state on refresh.
    RefreshStopsForDisabledUser = "refresh-stops-for-disabled-user",
    /// Ignores the client on refresh.
    RefreshBoundToClient = "refresh-bound-to-client",
    /// Signs with a key that is not in the JWK Set.
    IdTokenSigned = "id-token-signed",
    /// Signs with RS256.
    IdTokenAlg = "id-token-alg",
    /// Puts the tenant alias host into iss.
    IdTokenIss = "id-token-iss",
    /// Emits aud as a one-element array.
    IdTokenAudString = "id-token-aud-string",
    /// Emits exp as a string.
    IdTokenTimes = "id-token-times",
    /// Sets ID token lifetime to 24 hours.
    IdTokenShortValidity = "id-token-short-validity",
    /// Returns a random sub per login.
    IdTokenSub = "id-token-sub",
    /// Uses a constant jti.
    AssertionIdentifier = "assertion-identifier",
    /// Emits acr only when acr_values was requested.
    IdTokenAcr = "id-token-acr",
    /// Emits amr as a space-separated string.
    IdTokenAmr = "id-token-amr",
    /// Adds the value authenticator_app.
    AmrRegistered = "amr-registered",
    /// Emits auth_time only with max_age.
    IdTokenAuthTime = "id-token-auth-time",
    /// Sets auth_time to the time of issue.
    AuthTimeUnchangedOnSso = "auth-time-unchanged-on-sso",
    /// Emits session_expiry as a number of seconds from now.
    IdTokenSessionExpiry = "id-token-session-expiry",
    /// Hard-codes a session lifetime of eight hours.
    SessionExpiryControllable = "session-expiry-controllable",
    /// Emits tenant as an object.
    TenantClaimForm = "tenant-claim-form",
    /// Ignores id_token_encrypted_response_alg.
    IdTokenEncryptionOffered = "id-token-encryption-offered",
    /// Computes the pairwise value from the user id alone.
    PairwiseOffered = "pairwise-offered",
    /// Always adds email and groups to the ID token.
    AttributeMinimisation = "attribute-minimisation",
    /// Issues a code when prompt=none is sent while the second factor is pending.
    MfaEnforced = "mfa-enforced",
    /// Reports amr `["pwd"]` after a password plus one-time-code login.
    MfaReported = "mfa-reported",
    /// Ignores a positive max_age in interactive requests.
    MaxAgeReauth = "max-age-reauth",
    /// Answers invalid_request when max_age is above ten minutes.
    MaxAgeNotReached = "max-age-not-reached",
    /// Evaluates prompt=none before max_age.
    MaxAgePromptNone = "max-age-prompt-none",
    /// Treats max_age=0 as absent.
    MaxAgeZero = "max-age-zero",
    /// Sends an unrequested code to the redirect URI from the portal.
    PortalStartsAtRp = "portal-starts-at-rp",
    /// Routes only GET.
    AuthzPost = "authz-post",
    /// Ignores tenant and answer with the session's other tenant.
    EnterpriseHintsHonoured = "enterprise-hints-honoured",
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
        assert_eq!(Twist::ALL.len(), 94, "97 clauses, three of them attested only");
        for twist in Twist::ALL {
            assert_eq!(Twist::for_clause(twist.clause()), Some(*twist));
        }
        for attested in ["sl1.idp.complete-redirect-registration", "sl1.idp.sub-never-reassigned", "sl1.idp.federation-hint"] {
            assert_eq!(Twist::for_clause(attested), None);
        }
    }

    #[test]
    fn collateral_is_allowed_for_known_defects_only_and_always_with_a_reason() {
        let file: toml::Table = include_str!("../../fixtures/defects.toml").parse().unwrap();
        for (id, entry) in file["defects"].as_table().unwrap() {
            assert!(Twist::for_clause(id).is_some(), "{id}");
            assert!(entry["why"].as_str().unwrap().len() > 10, "{id}");
            let allowed = entry["allow"].as_array().unwrap();
            assert!(!allowed.is_empty(), "{id}");
            for other in allowed {
                let other = other.as_str().unwrap();
                assert!(other != id && Twist::for_clause(other).is_some(), "{id}: {other}");
            }
        }
    }
}
