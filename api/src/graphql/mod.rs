//! The schema: roots, and what all areas share. One folder an area.
#![expect(unreachable_pub, reason = "types of a schema are public to the derives, whoever can reach them")]

mod accounts;
mod command;
mod compliance;
mod connection;
mod content;
mod error;
mod identity;
mod local_time;
mod node;
mod payload;
mod publishing;
mod reading;
mod scalars;

use std::sync::Arc;

use async_graphql::{MergedObject, MergedSubscription, Schema, SchemaBuilder};
use transport::Executors;

use crate::app::App;

pub(crate) use publishing::post_filter;
pub(crate) use reading::Reads;

/// Everything that can be read.
#[derive(MergedObject, Default)]
#[graphql(name = "Query")]
pub struct Query(
    node::NodeQuery,
    identity::IdentityQuery,
    accounts::AccountsQuery,
    content::ContentQuery,
    publishing::PublishingQuery,
    compliance::ComplianceQuery,
);

/// Everything that can be done.
#[derive(MergedObject, Default)]
#[graphql(name = "Mutation")]
pub struct Mutation(
    identity::IdentityMutation,
    accounts::AccountsMutation,
    content::ContentMutation,
    publishing::PublishingMutation,
    compliance::ComplianceMutation,
);

/// Everything that can be followed.
#[derive(MergedSubscription, Default)]
#[graphql(name = "Subscription")]
pub struct Subscription(
    identity::IdentitySubscription,
    accounts::AccountsSubscription,
    content::ContentSubscription,
    publishing::PublishingSubscription,
    compliance::ComplianceSubscription,
);

/// The product's schema.
pub type ProductSchema = Schema<Query, Mutation, Subscription>;

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription::default())
}

/// The schema over `app`, as the transport runs it.
pub fn executors(app: &Arc<App>) -> Executors<ProductSchema> {
    let (members, accounts) = (identity::recent_events(), accounts::recent_events());
    let (uploads, posts) = (content::recent_events(), publishing::recent_events());
    let (progress, figures) = (content::recent_progress(), publishing::recent_figures());
    let reports = compliance::recent_reports();
    transport::executors(|| {
        let schema = builder().data(Arc::clone(app)).data(Arc::clone(&members)).data(Arc::clone(&accounts));
        let schema = schema.data(Arc::clone(&uploads)).data(Arc::clone(&posts));
        schema.data(Arc::clone(&progress)).data(Arc::clone(&figures)).data(Arc::clone(&reports))
    })
}

/// The text of `schema.graphql`, sorted so that a difference is a change.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .include_specified_by()
        .prefer_single_line_descriptions();
    let mut text = transport::attach(builder()).finish().sdl_with_options(options);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
