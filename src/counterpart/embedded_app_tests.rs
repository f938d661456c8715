//! The target that the embedded application describes.

use super::*;
use crate::catalogue::Catalogue;

fn provider() -> ProviderFor {
    ProviderFor::new("https://op.ipsie-conform.test", Some("https://op.ipsie-conform.test/second"))
}

#[tokio::test]
async fn every_secret_it_names_is_there_and_it_can_be_written_as_a_target_file() {
    let ca = Arc::new(TestCa::new("test ca").unwrap());
    let keys = AppKeys::generate().unwrap();
    let embedded = embedded_app("127.0.0.1:0", ca, &keys, &provider(), &[]).await.unwrap();
    let again: Target = toml::from_str(&toml::to_string(&embedded.target).unwrap()).unwrap();
    let hooks = again.hooks.values().filter_map(|hook| hook.http.as_ref()?.bearer.clone());
    let named = hooks.chain(again.commands.revocation_token).chain(again.commands.second_revocation_token);
    let scim = again.scim.unwrap();
    let named: Vec<String> = named.chain(scim.token).chain(scim.second_token).collect();
    assert_eq!(named.len(), 7);
    for reference in named {
        assert!(embedded.secrets.contains_key(&reference), "{reference}");
    }
    assert_eq!(again.network.resolve.len(), 4);
    let catalogue = Catalogue::embedded().unwrap();
    for clause in embedded.target.attest.keys() {
        assert!(catalogue.clause(clause).is_some(), "{clause}");
    }
}

#[tokio::test]
async fn it_starts_with_every_defect() {
    let ca = Arc::new(TestCa::new("test ca").unwrap());
    let keys = AppKeys::generate().unwrap();
    let provider = provider();
    for defect in Defect::ALL {
        let started = embedded_app("127.0.0.1:0", ca.clone(), &keys, &provider, &[*defect]).await;
        assert!(started.is_ok(), "{defect:?}: {:?}", started.err());
    }
}

#[tokio::test]
async fn it_starts_with_every_quirk_of_its_scim_interface() {
    let ca = Arc::new(TestCa::new("test ca").unwrap());
    let keys = AppKeys::generate().unwrap();
    for quirk in Quirk::ALL {
        let provider = ProviderFor { quirks: vec![*quirk], ..provider() };
        let started = embedded_app("127.0.0.1:0", ca.clone(), &keys, &provider, &[]).await;
        assert!(started.is_ok(), "{quirk:?}: {:?}", started.err());
    }
}
