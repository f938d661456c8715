//! What `init --scim` reads of a service provider: its description, and where tokens for it come from.

use serde_json::Value;

use crate::counterpart::scim_client::{Answer, USER};
use crate::error::Error;
use crate::report::view::one_line;
use crate::stage::http::{Ask, Http};
use crate::stage::scim_token::inserted;

/// Issuers that are tried where no metadata name one.
const MOST_ISSUERS: usize = 4;

/// What the documents say. Everything is optional: they may need a token, or not be there.
#[derive(Clone, Debug, Default)]
pub struct Learnt {
    /// URL below which `/Users` stands.
    pub base_url: String,
    /// One line for each thing that was read, for the operator.
    pub seen: Vec<String>,
    /// What is missing or could not be read; hints, no verdicts.
    pub hints: Vec<String>,
    /// Ways in which roles are exposed, as `lifecycle.roles_exposed` names them.
    pub exposed: Vec<&'static str>,
    /// Role values that the User schema or `/Roles` list.
    pub roles: Vec<String>,
    /// The authorization server, where metadata name one.
    pub server: Option<Server>,
    /// A document answered 401 or 403.
    pub refused: bool,
}

/// The application's authorization server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Its issuer identifier.
    pub issuer: String,
    /// Its token endpoint.
    pub token_endpoint: String,
    /// Its metadata announce signed JWTs (RFC 7523).
    pub takes_jwt: bool,
}

/// The documents of a service provider.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    config: Answer,
    types: Answer,
    schemas: Answer,
    roles: Answer,
}

/// Reads the documents below a URL, and the metadata of its authorization server.
///
/// # Errors
/// Nobody answers at all.
pub async fn look(http: &Http, base_url: &str, token: Option<&str>) -> Result<Learnt, Error> {
    let get = async |url: String| {
        let mut ask = Ask::get(url).header("accept", "application/scim+json, application/json");
        if let Some(token) = token {
            ask = ask.header("authorization", format!("Bearer {token}"));
        }
        http.send("init", "discovery", ask).await
    };
    let base = base_url.trim_end_matches('/');
    let config = match get(format!("{base}/ServiceProviderConfig")).await {
        Err(fault) if fault.certificate => {
            return Err(Error::prerequisite(format!("the certificate of the service provider is not trusted: {fault}"), ""));
        }
        Err(fault) => return Err(Error::prerequisite(format!("the service provider could not be reached: {fault}"), "")),
        answered => Answer::from(answered),
    };
    let documents = Documents {
        config,
        types: Answer::from(get(format!("{base}/ResourceTypes")).await),
        schemas: Answer::from(get(format!("{base}/Schemas")).await),
        roles: Answer::default(),
    };
    let has_roles = documents.types.resources().iter().any(|kind| kind["endpoint"] == "/Roles");
    let roles = if has_roles { Answer::from(get(format!("{base}/Roles")).await) } else { Answer::default() };
    let mut learnt = read(base, &Documents { roles, ..documents });
    learnt.server = server(http, base).await;
    Ok(learnt)
}

/// What the documents tell.
fn read(base: &str, documents: &Documents) -> Learnt {
    let mut learnt = Learnt { base_url: base.to_owned(), ..Learnt::default() };
    let named =
        [("/ServiceProviderConfig", &documents.config), ("/ResourceTypes", &documents.types), ("/Schemas", &documents.schemas)];
    for (path, answer) in named {
        if !answer.ok() || !answer.body.is_object() && !answer.body.is_array() {
            learnt.refused |= matches!(answer.status, 401 | 403);
            learnt.hints.push(format!("{path} was not read: {}", one_line(&answer.describe())));
        }
    }
    if documents.config.ok() {
        config(&mut learnt, &documents.config.body);
    }
    if documents.types.ok() {
        types(&mut learnt, &documents.types);
    }
    if documents.schemas.ok() {
        schemas(&mut learnt, &documents.schemas);
    }
    let listed = documents.roles.resources().iter().filter_map(|role| role["value"].as_str());
    for role in listed {
        if !learnt.roles.iter().any(|known| known == role) {
            learnt.roles.push(role.to_owned());
        }
    }
    learnt
}

fn config(learnt: &mut Learnt, config: &Value) {
    let on = |feature: &str| config[feature]["supported"] == true;
    let features: Vec<&str> =
        ["patch", "filter", "bulk", "sort", "etag", "changePassword"].into_iter().filter(|feature| on(feature)).collect();
    let most = config["filter"]["maxResults"].as_u64().map(|most| format!("; at most {most} results")).unwrap_or_default();
    learnt.seen.push(format!("supports {}{most}", or_nothing(&features)));
    let kinds = config["authenticationSchemes"].as_array().into_iter().flatten();
    let schemes: Vec<&str> = kinds.filter_map(|scheme| scheme["type"].as_str()).collect();
    learnt.seen.push(format!("authentication schemes: {}", or_nothing(&schemes)));
    let paging = &config["pagination"];
    let ways: Vec<&str> = ["cursor", "index"].into_iter().filter(|way| paging[way] == true).collect();
    if !ways.is_empty() {
        learnt.seen.push(format!("pages by {} (RFC 9865)", ways.join(" and ")));
    }
    for feature in ["patch", "filter"] {
        if !on(feature) {
            learnt.hints.push(format!("{feature}.supported is not true: the AL1 SCIM draft demands it"));
        }
    }
    if !schemes.iter().any(|scheme| scheme.starts_with("oauth")) {
        learnt.hints.push("authenticationSchemes name neither oauthbearertoken nor oauth2".into());
    }
}

fn types(learnt: &mut Learnt, types: &Answer) {
    let kinds = types.resources();
    let told: Vec<String> = kinds
        .iter()
        .map(|kind| {
            let extensions = kind["schemaExtensions"].as_array().into_iter().flatten();
            let extensions: Vec<&str> = extensions.filter_map(|extension| extension["schema"].as_str()).collect();
            let more = if extensions.is_empty() { String::new() } else { format!(" with {}", extensions.join(", ")) };
            format!("{}{more}", kind["endpoint"].as_str().unwrap_or("?"))
        })
        .collect();
    learnt.seen.push(format!("resources: {}", one_line(&told.join("; "))));
    let has = |endpoint: &str| kinds.iter().any(|kind| kind["endpoint"] == endpoint);
    for (endpoint, level) in [("/Users", "AL1"), ("/Groups", "AL2")] {
        if !has(endpoint) {
            learnt.hints.push(format!("/ResourceTypes does not list {endpoint}, which {level} needs"));
        }
    }
    if has("/Roles") {
        learnt.exposed.push("roles-resource");
    }
}

fn schemas(learnt: &mut Learnt, schemas: &Answer) {
    let Some(user) = schemas.resources().iter().find(|schema| schema["id"] == USER) else {
        learnt.hints.push(format!("/Schemas does not describe {USER}"));
        return;
    };
    let attributes = user["attributes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |list: &Value, name: &str| {
        list.as_array().into_iter().flatten().find(|attribute| attribute["name"] == name).cloned().unwrap_or_default()
    };
    let names: Vec<&str> = attributes.iter().filter_map(|attribute| attribute["name"].as_str()).collect();
    learnt.seen.push(format!("attributes of users: {}", one_line(&names.join(", "))));
    for name in ["userName", "active", "emails"] {
        if !names.contains(&name) {
            learnt.hints.push(format!("the User schema does not declare {name}"));
        }
    }
    let value = of(&of(&user["attributes"], "roles")["subAttributes"], "value");
    let canonical = value["canonicalValues"].as_array().into_iter().flatten().filter_map(Value::as_str);
    learnt.roles.extend(canonical.map(str::to_owned));
    if !learnt.roles.is_empty() {
        learnt.exposed.push("schema-values");
    }
}

fn or_nothing(names: &[&str]) -> String {
    if names.is_empty() { "nothing".into() } else { one_line(&names.join(", ")) }
}

/// The authorization server that the resource's own metadata name (RFC 9728); else one whose issuer is the origin or a path above the
/// interface (RFC 8414), best one that takes signed JWTs.
async fn server(http: &Http, base: &str) -> Option<Server> {
    let resource = document(http, &inserted(base, "oauth-protected-resource")).await;
    if let Some(issuer) = resource.as_ref().and_then(|document| document["authorization_servers"][0].as_str()) {
        return named_server(http, issuer).await;
    }
    let mut best = None;
    for issuer in above(base) {
        match named_server(http, &issuer).await {
            Some(found) if found.takes_jwt => return Some(found),
            found => best = best.or(found),
        }
    }
    best
}

/// The authorization server with this issuer, by its metadata (RFC 8414, else an OpenID configuration).
pub async fn named_server(http: &Http, issuer: &str) -> Option<Server> {
    let metadata = match document(http, &inserted(issuer, "oauth-authorization-server")).await {
        Some(metadata) => metadata,
        None => document(http, &format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))).await?,
    };
    of_metadata(&metadata, issuer)
}

async fn document(http: &Http, url: &str) -> Option<Value> {
    let reply = http.send("init", "metadata", Ask::get(url).header("accept", "application/json")).await.ok()?;
    reply.json().filter(|document| reply.status == 200 && document.is_object())
}

/// Origin and paths above a URL, the shortest first.
fn above(base: &str) -> Vec<String> {
    let Ok(url) = url::Url::parse(base) else { return Vec::new() };
    let mut issuers = vec![url.origin().ascii_serialization()];
    for segment in url.path().trim_matches('/').split('/').filter(|segment| !segment.is_empty()) {
        let last = issuers.last().cloned().unwrap_or_default();
        issuers.push(format!("{last}/{segment}"));
    }
    issuers.truncate(MOST_ISSUERS);
    issuers
}

/// Metadata that name another issuer are nobody's (RFC 8414 3.3).
fn of_metadata(metadata: &Value, issuer: &str) -> Option<Server> {
    let token_endpoint = metadata["token_endpoint"].as_str().filter(|_| metadata["issuer"] == issuer)?;
    let holds = |list: &str, value: &str| metadata[list].as_array().is_some_and(|list| list.iter().any(|known| known == value));
    let takes_jwt = holds("grant_types_supported", "urn:ietf:params:oauth:grant-type:jwt-bearer")
        || holds("token_endpoint_auth_methods_supported", "private_key_jwt");
    Some(Server { issuer: issuer.to_owned(), token_endpoint: token_endpoint.to_owned(), takes_jwt })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(body: Value) -> Answer {
        Answer { status: 200, media_type: "application/scim+json".into(), body, ..Answer::default() }
    }

    #[test]
    fn what_the_documents_say_is_read() {
        let documents = Documents {
            config: answer(json!({
                "patch": {"supported": true}, "filter": {"supported": true, "maxResults": 200}, "bulk": {"supported": false},
                "authenticationSchemes": [{"type": "oauthbearertoken"}], "pagination": {"cursor": true, "index": true},
            })),
            types: answer(json!({"Resources": [
                {"endpoint": "/Users", "schemaExtensions": [{"schema": "urn:x:enterprise"}]}, {"endpoint": "/Groups"}, {"endpoint": "/Roles"},
            ]})),
            schemas: answer(json!({"Resources": [{"id": USER, "attributes": [
                {"name": "userName"}, {"name": "active"}, {"name": "emails"},
                {"name": "roles", "subAttributes": [{"name": "value", "canonicalValues": ["reader"]}]},
            ]}]})),
            roles: answer(json!({"Resources": [{"value": "reader"}, {"value": "editor"}]})),
        };
        let learnt = read("https://a.test/scim", &documents);
        assert!(learnt.hints.is_empty(), "{:?}", learnt.hints);
        assert_eq!(
            (learnt.exposed, learnt.roles),
            (vec!["roles-resource", "schema-values"], vec!["reader".into(), "editor".into()])
        );
        let seen = learnt.seen.join("\n");
        for text in
            ["patch, filter; at most 200", "oauthbearertoken", "cursor and index", "/Users with urn:x:enterprise", "userName"]
        {
            assert!(seen.contains(text), "{seen}");
        }
    }

    #[test]
    fn what_is_missing_is_a_hint_and_a_refusal_is_remembered() {
        let refused = Answer { status: 401, ..Answer::default() };
        let documents = Documents { config: refused.clone(), types: refused.clone(), schemas: refused, roles: Answer::default() };
        let learnt = read("https://a.test", &documents);
        assert!(learnt.refused && learnt.hints.len() == 3 && learnt.seen.is_empty());
        let empty =
            Documents { config: answer(json!({})), types: answer(json!({})), schemas: answer(json!({})), ..Documents::default() };
        let hints = read("https://a.test", &empty).hints.join("\n");
        for text in ["patch.supported", "filter.supported", "authenticationSchemes", "/Groups", "does not describe"] {
            assert!(hints.contains(text), "{hints}");
        }
    }

    #[test]
    fn only_metadata_of_the_same_issuer_count() {
        let metadata = json!({"issuer": "https://a.test", "token_endpoint": "https://a.test/token",
            "token_endpoint_auth_methods_supported": ["private_key_jwt"]});
        assert!(of_metadata(&metadata, "https://a.test").unwrap().takes_jwt);
        assert_eq!(of_metadata(&metadata, "https://b.test"), None);
        assert_eq!(above("https://a.test/x/y"), ["https://a.test", "https://a.test/x", "https://a.test/x/y"]);
    }
}
