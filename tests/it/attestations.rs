//! An authority by openssl and a chain on this machine vouch for heads of the platform's log.

use std::{path::PathBuf, process::Command, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    compliance::{
        log::merkle::Hash,
        ports::{Attestation, AttestationStore as _, Attester as _, Progress, Settled},
    },
    kernel::{actor::Role, clock::Clock as _, ids::IdSource as _},
};
use harness::{
    app::TestApp,
    authority::Authorities,
    chain::{CHAIN_ID, Chain},
    client::PATIENCE,
};
use infra::{
    chain::{ChainSettings, EvmChain, account_of},
    local_keyring::LocalSigner,
    postgres::{Db, PgPlatformStore, PoolSettings},
    system::System,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const ATTESTATIONS: &str =
    "{ platformAttestations { attester size note salt digest requestedAt attestedAt proof } }";

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("attestations-{}", System.next_uuid().simple()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_and_a_chain_vouch_for_heads_and_get_a_salted_hash_alone() {
    let folder = folder();
    let (authorities, chain) =
        (Authorities::start(folder.join("authorities")).await.unwrap(), Chain::start().await.unwrap());
    let key = folder.join("chain-key");
    LocalSigner::create(&key, &System).unwrap();
    let account = account_of(&key).unwrap();
    chain.fund(&account).await.unwrap();
    let settings = [
        ("MATRICULA_NOTARY_INTERVAL_MS", "100"),
        ("MATRICULA_NOTARY_ATTEST_EVERY_S", "1"),
        ("MATRICULA_NOTARY_AUTHORITY", authorities.url()),
        ("MATRICULA_NOTARY_CHAIN_URL", chain.url()),
        ("MATRICULA_NOTARY_CHAIN_ID", "31337"),
        ("MATRICULA_NOTARY_CHAIN_KEY", key.to_str().unwrap()),
        ("MATRICULA_NOTARY_CHAIN_CONFIRMATIONS", "2"),
    ];
    let app = TestApp::start_with(&settings).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let token = &tenant.owner.token;
    let told = app.client.graphql_until(token, ATTESTATIONS, json!({}), |answer| {
        let all = answer.data("platformAttestations").as_array().cloned().unwrap_or_default();
        let settled = |by: &str| all.iter().any(|one| one["attester"] == by && !one["attestedAt"].is_null());
        settled("rfc3161") && settled("evm-31337")
    });
    let told = told.await.unwrap().data("platformAttestations").as_array().unwrap().clone();
    for attestation in told.iter().filter(|attestation| !attestation["proof"].is_null()) {
        let (checkpoint, _) = text(&attestation["note"]).split_once("\n\n").unwrap();
        let salt = STANDARD.decode(text(&attestation["salt"])).unwrap();
        let digest = Sha256::digest([&[0x12], salt.as_slice(), checkpoint.as_bytes(), b"\n"].concat());
        assert_eq!(text(&attestation["digest"]), Hash(digest.into()).to_hex(), "{attestation}");
        let proof = text(&attestation["proof"]);
        if attestation["attester"] == "rfc3161" {
            std::fs::write(folder.join("digest"), digest).unwrap();
            std::fs::write(folder.join("answer"), STANDARD.decode(proof).unwrap()).unwrap();
            let root = authorities.file("tsa-root.pem");
            let run = Command::new("openssl")
                .args(["ts", "-verify", "-data", "digest", "-in", "answer", "-CAfile"])
                .arg(root)
                .current_dir(&folder)
                .output()
                .unwrap();
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        } else {
            let proof: Value = serde_json::from_str(proof).unwrap();
            let found = chain.call("eth_getTransactionByHash", json!([proof["transaction"]])).await.unwrap();
            assert_eq!(text(&found["input"]), format!("0x{}", text(&attestation["digest"])), "{found}");
            assert_eq!(
                (&found["blockHash"], &found["value"]),
                (&proof["blockHash"], &json!("0x0")),
                "{found}"
            );
            for side in ["from", "to"] {
                assert!(text(&found[side]).eq_ignore_ascii_case(&account), "{found}");
            }
            assert_eq!(proof["chainId"], CHAIN_ID);
        }
    }
    // One at a time, whoever asks: a second that is open is not kept.
    let store = PgPlatformStore::new(Db::connect(app.notary_url(), PoolSettings::default()).unwrap());
    let open = |size: u64| Attestation {
        by: "tests".to_owned(),
        size,
        salt: [1; 32],
        digest: Hash([2; 32]),
        prepared: vec![3],
        prepared_at: System.now(),
        settled: None,
    };
    assert!(store.add_attestation(&open(1)).await.unwrap());
    assert!(
        !store.add_attestation(&open(1)).await.unwrap() && !store.add_attestation(&open(2)).await.unwrap()
    );
    let stale = Attestation { prepared: vec![9], ..open(1) };
    store.prepare_again(&stale, &[4]).await.unwrap();
    assert_eq!(
        store.newest_attestation("tests").await.unwrap().unwrap().prepared,
        [3],
        "somebody else was first"
    );
    store.settle("tests", 1, &Settled { proof: "there".to_owned(), at: System.now() }).await.unwrap();
    store.prepare_again(&open(1), &[4]).await.unwrap();
    let kept = store.newest_attestation("tests").await.unwrap().unwrap();
    assert!(kept.prepared == [3] && kept.settled.is_some(), "{kept:?}");
    assert!(store.add_attestation(&open(2)).await.unwrap(), "the one before is settled");
    // Nothing else has left: every transaction of the account has 32 bytes.
    let newest = chain.call("eth_blockNumber", json!([])).await.unwrap();
    let newest = u64::from_str_radix(text(&newest).trim_start_matches("0x"), 16).unwrap();
    let mut sent = 0;
    for number in 0..=newest {
        let block = chain.call("eth_getBlockByNumber", json!([format!("{number:#x}"), true])).await.unwrap();
        for transaction in block["transactions"].as_array().unwrap() {
            assert_eq!(text(&transaction["input"]).len(), 2 + 64, "{transaction}");
            sent += 1;
        }
    }
    assert!(sent >= 1);
    let operator = app.member(&tenant, Role::Operator).await.unwrap();
    let refused = app.client.graphql(&operator.token, ATTESTATIONS, json!({})).await.unwrap();
    assert_eq!(refused.code(), "FORBIDDEN", "{}", refused.body);
    app.stop().await.unwrap();
    chain.stop().await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_prepared_is_paid_for_once_and_what_is_lost_is_told() {
    let (folder, chain) = (folder(), Chain::start().await.unwrap());
    let key = folder.join("key");
    LocalSigner::create(&key, &System).unwrap();
    let account = account_of(&key).unwrap();
    let settings = |url: &str, chain_id: u64| ChainSettings {
        url: url.parse().unwrap(),
        chain_id,
        confirmations: 1,
        fee_max_gwei: 200,
        timeout: Duration::from_secs(5),
    };
    let open = |url: &str, chain_id: u64| EvmChain::new(settings(url, chain_id), &key).unwrap();
    let ours = open(chain.url(), CHAIN_ID);
    let (digest, other) = (Hash([7; 32]), Hash([8; 32]));
    let unpaid = ours.prepare(digest).await;
    let unpaid = match unpaid {
        Ok(prepared) => ours.advance(digest, &prepared).await.unwrap_err(),
        Err(fault) => fault,
    };
    assert!(unpaid.source.to_string().starts_with("the node says"), "{}", unpaid.source);
    chain.fund(&account).await.unwrap();
    let (first, second) = (ours.prepare(digest).await.unwrap(), ours.prepare(other).await.unwrap());
    assert!(ours.advance(other, &first).await.is_err(), "it is of another digest");
    // By two processes, again and again: it is on the chain once.
    let again = open(chain.url(), CHAIN_ID);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let settled = loop {
        let told =
            (ours.advance(digest, &first).await.unwrap(), again.advance(digest, &first).await.unwrap());
        if let (Progress::Settled(settled), Progress::Settled(same)) = told {
            assert_eq!(settled, same);
            break settled;
        }
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let paid = chain.call("eth_getTransactionCount", json!([account, "latest"])).await.unwrap();
    assert_eq!(paid, "0x1", "{settled:?}");
    // The number of the second is used: once enough blocks stand on that, it will never be on this chain.
    while ours.advance(other, &second).await.unwrap() != Progress::Lost {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // More than is to be paid is not offered.
    let dear = ChainSettings { fee_max_gwei: 0, ..settings(chain.url(), CHAIN_ID) };
    let dear = EvmChain::new(dear, &key).unwrap().prepare(other).await.unwrap_err();
    assert!(dear.source.to_string().contains("chain_fee_max_gwei"), "{}", dear.source);
    let anew = ours.prepare(other).await.unwrap();
    while !matches!(ours.advance(other, &anew).await.unwrap(), Progress::Settled(_)) {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A node of another chain, and one that is away: what it is reached by is not told.
    let wrong = open(chain.url(), 1).prepare(digest).await.unwrap_err();
    assert!(wrong.source.to_string().contains("31337"), "{}", wrong.source);
    let away = open("http://127.0.0.1:9/v3/secret-of-ours", CHAIN_ID).prepare(digest).await.unwrap_err();
    let told = format!("{away:?} {}", away.source);
    assert!(told.contains("does not answer") && !told.contains("secret"), "{told}");
    chain.stop().await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}
