//! Everything that can be done with plans and posts.

use crate::kernel::{
    action::{API_ACTIVITY, Action, actions},
    actor::Permission,
};

actions! {
    /// One piece of content is meant for many accounts.
    CREATE_PLAN = "create_plan", Data, API_ACTIVITY, 1, Some(Permission::ManagePosts), Required, SECURITY;
    /// Many files are put on many accounts where and when it is best, a plan for each.
    CREATE_FLEET = "create_fleet", Data, API_ACTIVITY, 1, Some(Permission::ManagePosts), Required, SECURITY;
    /// Posts come in as rows of a file; those that are there already are changed.
    IMPORT_POSTS = "import_posts", Data, API_ACTIVITY, 1, Some(Permission::ManagePosts), Required, SECURITY;
    /// Something is changed of all posts of a plan that are not under way.
    CHANGE_PLAN = "change_plan", Data, API_ACTIVITY, 3, Some(Permission::ManagePosts), Optional, SECURITY;
    /// Local times for posts are given a name.
    CREATE_TIMETABLE = "create_timetable", Data, API_ACTIVITY, 1, Some(Permission::ManagePosts), Required, SECURITY;
    /// They are others from now on; what is planned stays.
    CHANGE_TIMETABLE = "change_timetable", Data, API_ACTIVITY, 3, Some(Permission::ManagePosts), Optional, SECURITY;
    /// They are not needed any more; what is planned stays.
    REMOVE_TIMETABLE = "remove_timetable", Data, API_ACTIVITY, 4, Some(Permission::ManagePosts), Optional, SECURITY;
    /// Somebody agrees to all posts of a plan as they are.
    APPROVE_PLAN = "approve_plan", Data, API_ACTIVITY, 3, Some(Permission::ApprovePosts), Optional, PERSONAL;
    /// All that is not under way of a plan is given up.
    CANCEL_PLAN = "cancel_plan", Data, API_ACTIVITY, 4, Some(Permission::ManagePosts), Optional, SECURITY;
    /// Somebody agrees to one post as it is.
    APPROVE_POST = "approve_post", Data, API_ACTIVITY, 3, Some(Permission::ApprovePosts), Optional, PERSONAL;
    /// What is posted, or when, is changed.
    CHANGE_POST = "change_post", Data, API_ACTIVITY, 3, Some(Permission::ManagePosts), Optional, SECURITY;
    /// A post is given up.
    CANCEL_POST = "cancel_post", Data, API_ACTIVITY, 4, Some(Permission::ManagePosts), Optional, SECURITY;
    /// A post that failed is tried again.
    RETRY_POST = "retry_post", Data, API_ACTIVITY, 3, Some(Permission::ManagePosts), Optional, SECURITY;
    /// Somebody who has looked says what became of a post.
    RESOLVE_POST = "resolve_post", Data, API_ACTIVITY, 3, Some(Permission::ApprovePosts), Optional, PERSONAL;
    /// Posts were taken away as a file.
    EXPORT_POSTS = "export_posts", Admin, API_ACTIVITY, 2, Some(Permission::ReadPosts), Optional, PERSONAL;
    /// A post took a step: which is the event's reason.
    PUBLISH_DUE = "publish_due", Data, API_ACTIVITY, 3, None, Optional, PERSONAL;
}

/// What nobody asks for by a mutation: what is taken away at a door of its own, and what is done for a post when it is due.
pub const WITHOUT_MUTATION: &[Action] = &[EXPORT_POSTS, PUBLISH_DUE];
