//! A cookie jar with the rules of RFC 6265bis that decide which cookie goes where.

use std::time::{Duration, SystemTime};

use url::{Host, Url};

/// A cookie without `SameSite` is sent with a cross-site POST for so long, as browsers do.
const LAX_POST: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SameSite {
    Unset,
    Lax,
    Strict,
    None,
}

#[derive(Clone, Debug)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    host_only: bool,
    path: String,
    secure: bool,
    same_site: SameSite,
    made: SystemTime,
    expires: Option<SystemTime>,
}

/// The cookies of one context.
#[derive(Clone, Debug, Default)]
pub(super) struct CookieJar(Vec<Cookie>);

/// Who caused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// Another site than the one the request goes to.
    pub cross_site: bool,
    /// A method other than GET and HEAD.
    pub unsafe_method: bool,
}

impl CookieJar {
    /// Keeps what a response sets.
    pub(super) fn store(&mut self, url: &Url, set_cookie: &str) {
        if let Some(cookie) = parse(url, set_cookie) {
            self.put(cookie);
        }
    }

    /// Takes over the cookies of another jar.
    pub(super) fn add(&mut self, other: &CookieJar) {
        for cookie in &other.0 {
            self.put(cookie.clone());
        }
    }

    fn put(&mut self, cookie: Cookie) {
        self.0.retain(|old| !(old.name == cookie.name && old.domain == cookie.domain && old.path == cookie.path));
        if cookie.expires.is_none_or(|at| at > SystemTime::now()) {
            self.0.push(cookie);
        }
    }

    /// The `cookie` header of a request; `None` without cookies.
    pub(super) fn header(&self, url: &Url, cause: Cause) -> Option<String> {
        let now = SystemTime::now();
        let host = url.host_str()?.to_ascii_lowercase();
        let mut fitting: Vec<&Cookie> = self
            .0
            .iter()
            .filter(|cookie| {
                let host_fits = if cookie.host_only { host == cookie.domain } else { domain_match(&host, &cookie.domain) };
                let allowed = !cause.cross_site
                    || match cookie.same_site {
                        SameSite::None => true,
                        SameSite::Strict => false,
                        SameSite::Lax => !cause.unsafe_method,
                        SameSite::Unset => !cause.unsafe_method || cookie.made.elapsed().is_ok_and(|age| age < LAX_POST),
                    };
                host_fits
                    && path_match(url.path(), &cookie.path)
                    && (!cookie.secure || trustworthy(url))
                    && cookie.expires.is_none_or(|at| at > now)
                    && allowed
            })
            .collect();
        // The longest path first; the sort is stable, so that older cookies come first within a path.
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> = fitting.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// Do two URLs belong to one site? Without the public suffix list: the last two labels of the host decide.
pub(super) fn same_site(a: &Url, b: &Url) -> bool {
    let site = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name.rsplitn(3, '.').take(2).collect::<Vec<_>>().join(".").to_ascii_lowercase(),
        Some(host) => host.to_string(),
        None => String::new(),
    };
    a.scheme() == b.scheme() && site(a) == site(b)
}

fn parse(url: &Url, set_cookie: &str) -> Option<Cookie> {
    let host = url.host_str()?.to_ascii_lowercase();
    let mut parts = set_cookie.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let mut cookie = Cookie {
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
        domain: host.clone(),
        host_only: true,
        path: default_path(url.path()),
        secure: false,
        same_site: SameSite::Unset,
        made: SystemTime::now(),
        expires: None,
    };
    let mut max_age = None;
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "domain" => {
                let domain = value.trim_start_matches('.').to_ascii_lowercase();
                if domain.is_empty() {
                    continue;
                }
                if !domain_match(&host, &domain) || (!domain.contains('.') && domain != host) {
                    return None;
                }
                cookie.host_only = false;
                cookie.domain = domain;
            }
            "path" if value.starts_with('/') => cookie.path = value.to_owned(),
            "secure" => cookie.secure = true,
            "samesite" => {
                cookie.same_site = match value.to_ascii_lowercase().as_str() {
                    "none" => SameSite::None,
                    "strict" => SameSite::Strict,
                    "lax" => SameSite::Lax,
                    _ => SameSite::Unset,
                }
            }
            "max-age" => max_age = value.parse::<i64>().ok().or(max_age),
            "expires" => cookie.expires = date(value).or(cookie.expires),
            _ => {}
        }
    }
    if let Some(age) = max_age {
        let now = SystemTime::now();
        cookie.expires = match u64::try_from(age) {
            Ok(seconds) if seconds > 0 => now.checked_add(Duration::from_secs(seconds)),
            _ => Some(SystemTime::UNIX_EPOCH),
        };
    }
    let host_prefix = cookie.name.starts_with("__Host-");
    let needs_secure = host_prefix || cookie.name.starts_with("__Secure-") || cookie.same_site == SameSite::None;
    let secure_fits = if cookie.secure { trustworthy(url) } else { !needs_secure };
    let host_fits = !host_prefix || (cookie.host_only && cookie.path == "/");
    (secure_fits && host_fits).then_some(cookie)
}

fn trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

/// RFC 6265bis, section 5.1.3.
fn domain_match(host: &str, domain: &str) -> bool {
    let is_name = host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[');
    host == domain || (is_name && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
}

/// RFC 6265bis, section 5.1.4.
fn path_match(path: &str, cookie: &str) -> bool {
    path == cookie || path.strip_prefix(cookie).is_some_and(|rest| cookie.ends_with('/') || rest.starts_with('/'))
}

fn default_path(path: &str) -> String {
    match path.rfind('/') {
        Some(0) | None => "/".into(),
        Some(end) => path[..end].to_owned(),
    }
}

/// `Wed, 21 Oct 2026 07:28:00 GMT`, or the older form with hyphens.
fn date(text: &str) -> Option<SystemTime> {
    let zoned = jiff::fmt::rfc2822::parse(&text.replace('-', " ")).ok()?;
    let seconds = u64::try_from(zoned.timestamp().as_second()).unwrap_or(0);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPED: Cause = Cause { cross_site: false, unsafe_method: false };
    const LINK: Cause = Cause { cross_site: true, unsafe_method: false };
    const POST: Cause = Cause { cross_site: true, unsafe_method: true };

    fn jar(at: &str, cookies: &[&str]) -> CookieJar {
        let mut jar = CookieJar::default();
        for cookie in cookies {
            jar.store(&Url::parse(at).unwrap(), cookie);
        }
        jar
    }

    fn sent(jar: &CookieJar, to: &str, cause: Cause) -> String {
        jar.header(&Url::parse(to).unwrap(), cause).unwrap_or_default()
    }

    #[test]
    fn same_site_decides_about_cross_site_requests() {
        let jar = jar("https://op.test/", &["l=1; SameSite=Lax", "s=1; SameSite=Strict", "n=1; SameSite=None; Secure", "u=1"]);
        assert_eq!(sent(&jar, "https://op.test/", TYPED), "l=1; s=1; n=1; u=1");
        assert_eq!(sent(&jar, "https://op.test/", LINK), "l=1; n=1; u=1");
        assert_eq!(sent(&jar, "https://op.test/", POST), "n=1; u=1");
    }

    #[test]
    fn domain_path_and_secure_decide_where_a_cookie_goes() {
        let all = ["h=1", "d=1; Domain=op.test; Path=/a", "s=1; Secure; Path=/", "x=1; Domain=other.test", "t=1; Domain=test"];
        let jar = jar("https://login.op.test/a/b", &all);
        assert_eq!(sent(&jar, "https://login.op.test/a/c", TYPED), "h=1; d=1; s=1");
        assert_eq!(sent(&jar, "https://op.test/a", TYPED), "d=1");
        assert_eq!(sent(&jar, "https://op.test/ab", TYPED), "");
        assert_eq!(sent(&jar, "http://login.op.test/a", TYPED), "h=1; d=1");
    }

    #[test]
    fn cookies_end_and_are_replaced() {
        let all = ["a=1", "a=2", "b=1; Max-Age=60", "c=1", "c=; Max-Age=0", "d=1; Expires=Thu, 01-Jan-1970 00:00:00 GMT"];
        let jar = jar("https://op.test/", &all);
        assert_eq!(sent(&jar, "https://op.test/", TYPED), "a=2; b=1");
    }

    #[test]
    fn prefixes_and_none_without_secure_are_refused() {
        let jar = jar(
            "https://op.test/x/",
            &["__Host-a=1; Secure", "__Host-b=1; Secure; Path=/", "__Secure-c=1", "n=1; SameSite=None"],
        );
        assert_eq!(sent(&jar, "https://op.test/x/", TYPED), "__Host-b=1");
    }

    #[test]
    fn sites_are_compared_by_their_last_two_labels() {
        let same = |a: &str, b: &str| same_site(&Url::parse(a).unwrap(), &Url::parse(b).unwrap());
        assert!(same("https://a.op.test/", "https://op.test:8443/"));
        assert!(!same("https://op.test/", "https://rp.example/"));
        assert!(!same("http://op.test/", "https://op.test/"));
        assert!(!same("http://127.0.0.1/", "http://127.0.0.2/"));
    }
}
