//! The SCIM channel: one request with a token in the Authorization header, repeated where that is safe and useful.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore};

use super::lapse::Lapse;
use super::token::{Credential, NoToken, Tokens};
use super::transport::{Answer, send};
use crate::counterpart::scim_client::Call;

/// Attempts in all before a request is given up; the next full synchronisation takes it up again.
const ATTEMPTS: u32 = 8;
/// First pause between two attempts; each later one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
/// No pause is longer, whatever Retry-After says.
const LONGEST: Duration = Duration::from_secs(600);
/// Requests at a time.
const PARALLEL: usize = 16;

/// The way to one SCIM server.
#[derive(Debug)]
pub struct Channel {
    base: String,
    credential: Credential,
    lapses: Vec<Lapse>,
    http: RwLock<reqwest::Client>,
    tokens: Mutex<Tokens>,
    slots: Semaphore,
}

impl Channel {
    /// To the server at `base`, without a slash at its end.
    pub fn new(base: &str, credential: Credential, http: reqwest::Client, lapses: &[Lapse]) -> Self {
        Channel {
            base: base.to_owned(),
            credential,
            lapses: lapses.to_vec(),
            http: RwLock::new(http),
            tokens: Mutex::default(),
            slots: Semaphore::new(PARALLEL),
        }
    }

    /// From now on by this client.
    pub fn replace_client(&self, http: reqwest::Client) {
        *self.http.write().unwrap_or_else(PoisonError::into_inner) = http;
    }

    /// Asks for a new token before the next request.
    #[cfg(test)]
    pub async fn forget_token(&self) {
        *self.tokens.lock().await = Tokens::default();
    }

    fn http(&self) -> reqwest::Client {
        self.http.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has(&self, lapse: Lapse) -> bool {
        self.lapses.contains(&lapse)
    }

    /// Sends a request that may be repeated: reads, changes to a known state, removals.
    ///
    /// # Errors
    /// No answer after all attempts, or no token.
    pub async fn call(&self, call: &Call) -> Result<Answer, String> {
        self.attempts(call, ATTEMPTS).await
    }

    /// Sends a request that must not be repeated blindly. Answers that it was not carried out (401, 429) are still followed.
    ///
    /// # Errors
    /// As [`Channel::call`]; also after a 5xx, where nobody knows what was done.
    pub async fn call_once(&self, call: &Call) -> Result<Answer, String> {
        self.attempts(call, 1).await
    }

    async fn attempts(&self, call: &Call, limit: u32) -> Result<Answer, String> {
        let limit = if self.has(Lapse::RetriesUnavailable) { 1 } else { limit };
        let (mut lost, mut limited, mut renewed) = (0, 0, false);
        loop {
            let outcome = self.once(call).await;
            match outcome {
                Ok((answer, token)) if answer.status == 401 && !renewed => {
                    self.tokens.lock().await.forget(&token);
                    if self.has(Lapse::RenewsExpiredToken) {
                        return Ok(answer);
                    }
                    renewed = true;
                }
                Ok((answer, _)) if answer.status == 429 && limited < ATTEMPTS => {
                    // Under the defect it gives in after a while, so that nothing is lost for good.
                    let hasty = self.has(Lapse::HonoursTooManyRequests) && limited < 3;
                    if !hasty {
                        tokio::time::sleep(retry_after(&answer).unwrap_or_else(|| pause(limited))).await;
                    }
                    limited += 1;
                }
                Ok((answer, _)) if answer.status < 500 || answer.status == 501 => return Ok(answer),
                Ok((answer, _)) => {
                    lost += 1;
                    if lost >= limit {
                        return Err(answer.describe());
                    }
                    tokio::time::sleep(retry_after(&answer).unwrap_or_else(|| pause(lost - 1))).await;
                }
                Err(Stop(why)) => return Err(why),
                Err(Again(why)) => {
                    lost += 1;
                    if lost >= limit {
                        return Err(why);
                    }
                    tokio::time::sleep(pause(lost - 1)).await;
                }
            }
        }
    }

    /// One attempt; answers the token it was made with.
    async fn once(&self, call: &Call) -> Result<(Answer, String), Fault> {
        let _slot = self.slots.acquire().await;
        let http = self.http();
        let token = match self.tokens.lock().await.get(&http, &self.credential, &self.lapses).await {
            Ok(token) => token,
            Err(NoToken::Later(answer)) => return Ok((*answer, String::new())),
            Err(NoToken::Lost(why)) => return Err(Again(why)),
            Err(NoToken::Never(why)) => return Err(Stop(why)),
        };
        if self.has(Lapse::BearerHeaderOnly) {
            let loud = call.clone().query("access_token", token.as_str());
            let answer = self.send(&http, &loud, &token, None).await.map_err(Again)?;
            if !(400..404).contains(&answer.status) {
                return Ok((answer, token));
            }
        }
        if self.has(Lapse::MediaType) && call.body.is_some() {
            let answer = self.send(&http, call, &token, Some("text/plain")).await.map_err(Again)?;
            if !(400..500).contains(&answer.status) {
                return Ok((answer, token));
            }
        }
        let answer = self.send(&http, call, &token, None).await.map_err(Again)?;
        Ok((answer, token))
    }

    async fn send(&self, http: &reqwest::Client, call: &Call, token: &str, media_type: Option<&str>) -> Result<Answer, String> {
        let method = call.method.parse().map_err(|_| format!("{} is no method", call.method))?;
        let mut request = http.request(method, call.url(&self.base)).header("accept", "application/scim+json").bearer_auth(token);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some((right, body)) = &call.body {
            request = request.header("content-type", media_type.unwrap_or(right)).body(body.clone());
        }
        send(request).await
    }
}

/// Why an attempt brought no answer of the SCIM server.
enum Fault {
    Again(String),
    Stop(String),
}
use Fault::{Again, Stop};

/// The pause after so many attempts: doubled each time, 8 s at most.
pub fn pause(before: u32) -> Duration {
    PAUSE * 2_u32.pow(before.min(5))
}

/// `Retry-After`: seconds or a date (RFC 9110 10.2.3).
fn retry_after(answer: &Answer) -> Option<Duration> {
    let text = answer.retry_after.as_deref()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            // A date has whole seconds: one more, so that we never come early.
            Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default() + Duration::from_secs(1)
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |text: &str| retry_after(&Answer { retry_after: Some(text.into()), ..Answer::default() });
        assert_eq!(wait("20"), Some(Duration::from_secs(20)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(1)));
        let soon = (Timestamp::now() + jiff::SignedDuration::from_secs(10)).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let waits = wait(&soon).unwrap();
        assert!(waits > Duration::from_secs(9) && waits <= Duration::from_secs(11), "{waits:?}");
        assert_eq!(wait("soon"), None);
    }
}
