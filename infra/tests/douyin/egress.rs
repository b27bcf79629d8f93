//! The way out of each tenant.

use infra::outbound::{EgressRoutes, OutboundSettings, Proxy};
use tokio::net::TcpListener;

use crate::{
    proxy::HttpProxy,
    stage::{Stage, kind, quick, scope},
};

const REFRESH: &str = "/oauth/refresh_token/";

#[tokio::test]
async fn a_tenant_whose_proxy_is_away_reaches_nobody() {
    let stage = Stage::new().await;
    let (_, app, granted) = stage.linked().await;
    let token = granted.refresh.unwrap();
    // A port that nobody listens on any more.
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let live = HttpProxy::start().await;
    for dead in [format!("http://{dead}"), format!("socks5://{dead}")] {
        let egress = EgressRoutes {
            default: Some(Proxy::parse(&live.url).unwrap()),
            tenants: [(scope(1).tenant(), Proxy::parse(&dead).unwrap())].into(),
        };
        let adapter = stage.adapter(OutboundSettings { egress, ..quick() });
        let before = stage.all_calls().await;
        for _ in 0..3 {
            let result = adapter.authorizer.refresh(&scope(1), &app, &token).await;
            assert_eq!(kind(&result), ("not_done", 0), "{dead}");
            let result = adapter.authorizer.renew(&scope(1), &app, &token).await;
            assert_eq!(kind(&result), ("not_done", 0), "{dead}");
        }
        assert_eq!(adapter.outcomes(), ["unreachable"; 6]);
        assert_eq!(stage.all_calls().await, before, "nothing came by another way");
        assert!(live.seen().is_empty(), "not by the way of others either");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_tenant_with_a_proxy_goes_through_it_and_others_do_not() {
    let stage = Stage::new().await;
    let (_, app, granted) = stage.linked().await;
    let token = granted.refresh.unwrap();
    let proxy = HttpProxy::start().await;
    let egress = EgressRoutes {
        default: None,
        tenants: [(scope(1).tenant(), Proxy::parse(&proxy.url).unwrap())].into(),
    };
    let adapter = stage.adapter(OutboundSettings { egress, ..quick() });
    let refresh = async |tenant| kind(&adapter.authorizer.refresh(&scope(tenant), &app, &token).await);
    assert_eq!(refresh(2).await, ("done", 0));
    assert!(proxy.seen().is_empty(), "another tenant goes straight out");
    assert_eq!(refresh(1).await, ("done", 0));
    assert_eq!(proxy.seen(), [format!("POST {}{REFRESH} HTTP/1.1", stage.url)]);
    assert_eq!(stage.calls(REFRESH).await, 2);
    stage.stop().await;
}
