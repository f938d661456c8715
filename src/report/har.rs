//! `exchanges.har`: the evidence as HAR 1.2, which every browser's developer tools can import.
//!
//! What HAR has no place for stands in custom members (their names begin with `_`, as HAR 1.2 demands): `_ipsie` of an entry,
//! `_shots` and `_run` of the log.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::model::report::{Evidence, Report};
use crate::model::{Exchange, Message, Party, Shot};

/// The evidence as HAR text.
pub fn write(report: &Report, evidence: &Evidence) -> String {
    let har = json!({"log": {
        "version": "1.2",
        "creator": {"name": report.tool.name, "version": report.tool.version},
        "pages": pages(report, evidence),
        "entries": evidence.exchanges.iter().map(entry).collect::<Vec<_>>(),
        "comment": "Redacted when recorded: passwords, secrets, cookies and unexpired tokens are not in this file.",
        "_run": {"id": report.run.id, "target": report.target.name},
        "_shots": evidence.shots,
    }});
    let mut text = serde_json::to_string_pretty(&har).unwrap_or_default();
    text.push('\n');
    text
}

/// A page per scenario, so that the importers group the entries.
fn pages(report: &Report, evidence: &Evidence) -> Vec<Value> {
    let mut pages: Vec<Value> = Vec::new();
    for exchange in &evidence.exchanges {
        if pages.iter().any(|page| page["id"] == exchange.scenario) {
            continue;
        }
        let title = report.scenarios.iter().find(|row| row.id == exchange.scenario).map_or("", |row| &row.title);
        pages.push(json!({
            "startedDateTime": exchange.started_at,
            "id": exchange.scenario,
            "title": format!("{}: {title}", exchange.scenario),
            "pageTimings": {},
        }));
    }
    pages
}

#[derive(Serialize, Deserialize)]
struct Extra {
    id: String,
    scenario: String,
    step: String,
    from: Party,
    to: Party,
    /// The URL as recorded, where it is not one (raw probes name `host:port`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

fn entry(exchange: &Exchange) -> Value {
    let raw = !exchange.url.contains("://");
    let url = if raw { format!("{}://{}", exchange.method.to_lowercase(), exchange.url) } else { exchange.url.clone() };
    let extra = Extra {
        id: exchange.id.clone(),
        scenario: exchange.scenario.clone(),
        step: exchange.step.clone(),
        from: exchange.from,
        to: exchange.to,
        url: raw.then(|| exchange.url.clone()),
        fault: exchange.fault.clone(),
    };
    let mut entry = json!({
        "pageref": exchange.scenario,
        "startedDateTime": exchange.started_at,
        "time": exchange.duration_ms,
        "request": request(exchange, &url),
        "response": response(exchange),
        "cache": {},
        "timings": {"send": 0, "wait": exchange.duration_ms, "receive": 0},
        "comment": exchange.step,
        "_ipsie": extra,
    });
    if let Some(fault) = &exchange.fault {
        // The member Chrome writes, and shows, for a request that failed.
        entry["response"]["_error"] = json!(fault);
    }
    entry
}

fn request(exchange: &Exchange, url: &str) -> Value {
    let query = Url::parse(url).map_or_else(
        |_| Vec::new(),
        |url| url.query_pairs().map(|(name, value)| json!({"name": name, "value": value})).collect(),
    );
    let mut request = json!({
        "method": exchange.method,
        "url": url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": headers(&exchange.request),
        "queryString": query,
        "headersSize": -1,
        "bodySize": size(&exchange.request),
    });
    if let Some(body) = &exchange.request.body {
        request["postData"] = json!({"mimeType": mime(&exchange.request), "params": [], "text": body});
    }
    request
}

fn response(exchange: &Exchange) -> Value {
    let mut content = json!({"size": size(&exchange.response), "mimeType": mime(&exchange.response)});
    if let Some(body) = &exchange.response.body {
        content["text"] = json!(body);
    }
    json!({
        "status": exchange.status,
        "statusText": "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": headers(&exchange.response),
        "content": content,
        "redirectURL": exchange.response.header("location").unwrap_or(""),
        "headersSize": -1,
        "bodySize": size(&exchange.response),
    })
}

fn headers(message: &Message) -> Vec<Value> {
    message.headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

fn size(message: &Message) -> usize {
    message.body.as_ref().map_or(0, String::len)
}

fn mime(message: &Message) -> &str {
    message.header("content-type").unwrap_or("application/octet-stream")
}

#[derive(Deserialize)]
struct File {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
    #[serde(default, rename = "_shots")]
    shots: Vec<Shot>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: jiff::Timestamp,
    time: u64,
    request: Request,
    response: Response,
    #[serde(rename = "_ipsie")]
    extra: Option<Extra>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    headers: Vec<Pair>,
    post_data: Option<Text>,
}

#[derive(Deserialize)]
struct Response {
    status: u16,
    headers: Vec<Pair>,
    content: Text,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct Text {
    text: Option<String>,
}

/// Reads the evidence back.
///
/// # Errors
/// What is wrong, when the text is no HAR of this program.
pub fn read(text: &str) -> Result<Evidence, String> {
    let file: File = serde_json::from_str(text).map_err(|fault| match fault.is_eof() {
        true => format!("it is truncated (line {})", fault.line()),
        false => fault.to_string(),
    })?;
    let exchanges = file.log.entries.into_iter().map(exchange).collect::<Result<_, _>>()?;
    Ok(Evidence { exchanges, shots: file.log.shots })
}

fn exchange(entry: Entry) -> Result<Exchange, String> {
    let extra = entry.extra.ok_or("an entry without `_ipsie`: this HAR was recorded by another program")?;
    let pairs = |headers: Vec<Pair>| headers.into_iter().map(|pair| (pair.name, pair.value)).collect();
    Ok(Exchange {
        id: extra.id,
        scenario: extra.scenario,
        step: extra.step,
        from: extra.from,
        to: extra.to,
        started_at: entry.started_date_time,
        duration_ms: entry.time,
        method: entry.request.method,
        url: extra.url.unwrap_or(entry.request.url),
        request: Message { headers: pairs(entry.request.headers), body: entry.request.post_data.and_then(|data| data.text) },
        status: entry.response.status,
        response: Message { headers: pairs(entry.response.headers), body: entry.response.content.text },
        fault: extra.fault,
    })
}
