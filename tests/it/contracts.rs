//! What the domain's ports promise, of the adapters that are kept in Postgres. Their twins in memory are held to the same
//! in `domain/tests/`.

use std::time::Duration;

use domain::{
    accounts::{
        events::{AccountEvent, AccountFact},
        ports::AccountsTx,
    },
    content::{
        events::{ContentEvent, ContentFact},
        ports::ContentTx,
    },
    identity::{
        events::{IdentityEvent, IdentityFact},
        model::Slug,
        ports::IdentityTx,
        testkit::stores_keep_their_promises,
    },
    kernel::{
        feed::{News, NewsStream},
        ids::{AccountId, ComplianceId, IdSource as _, MemberId, PostId, TenantId, UploadId},
        outbox::Origin,
        scope::TenantScope,
    },
    publishing::{
        events::{PublishingEvent, PublishingFact},
        ports::PublishingTx,
    },
};
use futures_util::StreamExt as _;
use harness::app::TestApp;
use infra::system::System;

#[tokio::test(flavor = "multi_thread")]
async fn identitys_stores_keep_their_promises() {
    let app = TestApp::start().await.unwrap();
    let parts = &app.service.parts.app;
    let units = app.units(parts.vault.clone()).unwrap();
    let unique = System.next_uuid().simple().to_string();
    let slug = Slug::parse(&format!("c-{}", &unique[16..])).unwrap();
    stores_keep_their_promises(&units, &System, slug, parts.clock.now()).await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_contexts_news_is_told_once_it_is_committed() {
    async fn heard<F>(stream: &mut NewsStream<F>) -> News<F> {
        tokio::time::timeout(Duration::from_secs(5), stream.next()).await.expect("within 5 s").unwrap()
    }

    let app = TestApp::start().await.unwrap();
    let parts = &app.service.parts.app;
    let scope = TenantScope::of(TenantId::new(&System));
    let origin = Origin::system(ComplianceId::new(&System), "announce");
    let mut identity = parts.feed.subscribe(&scope).await.unwrap();
    let mut accounts = parts.account_feed.subscribe(&scope).await.unwrap();
    let mut content = parts.content_feed.subscribe(&scope).await.unwrap();
    let mut posts = parts.publishing_feed.subscribe(&scope).await.unwrap();
    let moved =
        PublishingEvent { fact: PublishingFact::PostMoved(PostId::new(&System)), at: parts.clock.now() };
    let (member, account, upload) = (MemberId::new(&System), AccountId::new(&System), UploadId::new(&System));
    let at = parts.clock.now();
    let joined = IdentityEvent { fact: IdentityFact::MemberJoined(member), at };
    let linked = AccountEvent { fact: AccountFact::AccountLinked(account), at };
    let begun = ContentEvent { fact: ContentFact::UploadBegun(upload), at };
    let ended = ContentEvent { fact: ContentFact::UploadEnded(upload), at };
    let suspended = IdentityEvent { fact: IdentityFact::MemberSuspended(member), at };
    let paused = AccountEvent { fact: AccountFact::AccountPaused(account), at };

    let announcing = async |of_identity, of_accounts, of_content| {
        let mut work = parts.units.begin(scope, &origin).await.unwrap();
        IdentityTx::announce(&mut *work, of_identity);
        AccountsTx::announce(&mut *work, of_accounts);
        ContentTx::announce(&mut *work, of_content);
        PublishingTx::announce(&mut *work, moved);
        work
    };
    drop(announcing(suspended, paused, ended).await);
    announcing(suspended, paused, ended).await.roll_back().await;
    announcing(joined, linked, begun).await.commit().await.unwrap();
    // What was told of those undone would have come before.
    assert_eq!(heard(&mut identity).await, joined);
    assert_eq!(heard(&mut accounts).await, linked);
    assert_eq!(heard(&mut content).await, begun);
    assert_eq!(heard(&mut posts).await, moved);
    drop((identity, accounts, content));
    app.stop().await.unwrap();
}
