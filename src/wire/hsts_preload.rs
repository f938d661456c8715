//! Top-level domains that browsers only ever speak TLS to, for every name below them.
//!
//! This is not the preload list: that one holds far more than a hundred thousand hosts and changes daily. A host that is on it by itself is
//! not known here; its operator sees to the header or states the preload entry. What stands here are the whole top-level domains of
//! Chromium's list whose registries asked for it; such entries are not taken back.

/// State of the list this extract was made of.
pub const EXTRACT_DATE: &str = "2021";

/// Top-level domains preloaded with all names below them.
const PRELOADED: [&str; 18] = [
    "android",
    "app",
    "bank",
    "chrome",
    "day",
    "dev",
    "foo",
    "gle",
    "gmail",
    "google",
    "hangout",
    "insurance",
    "meet",
    "new",
    "page",
    "play",
    "search",
    "youtube",
];

/// The preloaded top-level domain that covers this host name.
pub fn covering(host: &str) -> Option<&'static str> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let (_, top) = host.rsplit_once('.')?;
    PRELOADED.into_iter().find(|name| *name == top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_a_preloaded_domain_are_covered() {
        assert_eq!(covering("Login.Example.DEV."), Some("dev"));
        assert_eq!(covering("idp.bank"), Some("bank"));
        assert_eq!(covering("dev"), None);
        assert_eq!(covering("dev.example"), None);
        assert_eq!(covering("login.exampledev"), None);
        assert_eq!(covering("192.0.2.1"), None);
    }
}
