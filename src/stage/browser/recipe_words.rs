//! Words by which login pages are understood, in the languages that products speak most.

/// In names and labels of user name fields.
pub(super) const NAME: [&str; 16] = [
    "user",
    "login",
    "email",
    "e-mail",
    "mail",
    "identifier",
    "account",
    "signin",
    "benutzer",
    "anmelde",
    "utilisateur",
    "identifiant",
    "usuario",
    "correo",
    "ユーザ",
    "メール",
];
/// In names and labels of fields for one-time codes.
pub(super) const CODE: [&str; 16] = [
    "otp",
    "one-time",
    "one time",
    "onetime",
    "mfa",
    "2fa",
    "two-factor",
    "authenticator",
    "passcode",
    "code",
    "einmal",
    "vérification",
    "verificación",
    "verification",
    "ワンタイム",
    "認証コード",
];
/// In names and labels of fields for the code of a second authenticator.
pub(super) const HARDWARE: [&str; 2] = ["hardware", "second authenticator"];

/// In names of other fields for codes.
pub(super) const NOT_CODE: [&str; 9] = ["country", "postal", "zip", "promo", "invite", "coupon", "area", "discount", "language"];
/// On buttons that lead away from the login.
pub(super) const NO: [&str; 38] = [
    "cancel",
    "deny",
    "decline",
    "reject",
    "refuse",
    "disagree",
    "abort",
    "back",
    "forgot",
    "reset",
    "register",
    "sign up",
    "signup",
    "create",
    "help",
    "show",
    "hide",
    "another",
    "different",
    "switch",
    "resend",
    "send again",
    "not you",
    "language",
    "learn more",
    "privacy",
    "terms",
    "logout",
    "log out",
    "sign out",
    "abbrechen",
    "ablehnen",
    "zurück",
    "annuler",
    "refuser",
    "cancelar",
    "キャンセル",
    "拒否",
];
/// On buttons that send what was typed.
pub(super) const GO: [&str; 24] = [
    "sign in",
    "sign-in",
    "signin",
    "log in",
    "login",
    "log on",
    "next",
    "continue",
    "submit",
    "verify",
    "confirm",
    "proceed",
    "go on",
    "anmelden",
    "weiter",
    "einloggen",
    "connexion",
    "connecter",
    "suivant",
    "iniciar",
    "siguiente",
    "ログイン",
    "次へ",
    "サインイン",
];
/// On buttons that lead to a login somewhere else, besides a word of [`GO`].
pub(super) const FEDERATED: [&str; 14] = [
    "sso",
    "single sign-on",
    "single sign on",
    "openid",
    "oidc",
    "identity provider",
    "company",
    "organization",
    "organisation",
    "enterprise",
    "with",
    "mit",
    "avec",
    "con",
];
/// On buttons of consent and notices.
pub(super) const YES: [&str; 21] = [
    "allow",
    "accept",
    "authorize",
    "authorise",
    "approve",
    "agree",
    "consent",
    "grant",
    "continue",
    "yes",
    "ok",
    "confirm",
    "proceed",
    "zulassen",
    "erlauben",
    "akzeptieren",
    "autoriser",
    "accepter",
    "permitir",
    "許可",
    "同意",
];
/// On buttons that use a passkey.
pub(super) const PASSKEY: [&str; 6] = ["passkey", "security key", "fingerprint", "face id", "biometric", "パスキー"];
/// On pages that ask whether the session should last.
pub(super) const STAY: [&str; 5] =
    ["stay signed in", "keep me signed in", "stay logged in", "angemeldet bleiben", "rester connecté"];
/// The whole text of a button that declines.
pub(super) const NOT_NOW: [&str; 6] = ["no", "not now", "skip", "no thanks", "nein", "later"];
/// On entries of an account chooser for an account it does not list.
pub(super) const OTHER_ACCOUNT: [&str; 6] =
    ["another account", "different account", "another user", "different user", "anderes konto", "別のアカウント"];
/// On buttons that offer to make a passkey.
pub(super) const NEW_PASSKEY: [&str; 5] = ["add", "set up", "setup", "enable", "save"];

/// Is one of the words in a text? Latin words must start where a word starts, so that `ok` is not found in `broken`.
pub(super) fn has(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().any(|word| {
        text.match_indices(word).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            let free = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphabetic());
            !word.is_ascii() || (free(before) && (word.len() > 3 || free(after)))
        })
    })
}
