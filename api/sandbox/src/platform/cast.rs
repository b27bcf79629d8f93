//! Apps and users: who plays.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Platform;

/// Every scope the sandbox knows; an app owns all of them unless it says which.
pub(crate) const SCOPES: [&str; 27] = [
    "user_info",
    "login_id",
    "renew_refresh_token",
    "video.create.bind",
    "video.create",
    "video.list.bind",
    "video.list",
    "video.data.bind",
    "video.data",
    "aweme.share",
    "aweme.forward",
    "h5.share",
    "poi.search",
    "item.comment",
    "video.comment",
    "data.external.item",
    "data.external.user",
    "fans.data.bind",
    "fans.data",
    "posting.behavior",
    "task.posting.create",
    "task.posting.user_verification",
    "jump.basic",
    "aweme.webhook",
    "video.delete",
    "video.search",
    "im.direct_message",
];

/// Where an app stands with the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AppState {
    #[default]
    Approved,
    InReview,
    Banned,
}

/// An app of a developer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct App {
    pub(crate) client_key: String,
    pub(crate) client_secret: String,
    pub(crate) name: String,
    /// The account it is bound to: its apps see one union_id for a user.
    pub(crate) developer: String,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) state: AppState,
    /// What webhooks are signed with; the client secret when absent.
    pub(crate) webhook_secret: Option<String>,
    pub(crate) webhook_url: Option<String>,
    pub(crate) subscriptions: BTreeMap<String, bool>,
    /// Deliveries that failed since the last that did not.
    pub(crate) webhook_failures: i64,
    #[serde(skip)]
    pub(crate) client_tokens: Vec<super::grants::ClientToken>,
}

impl App {
    pub(crate) fn signing_secret(&self) -> &str {
        self.webhook_secret.as_deref().unwrap_or(&self.client_secret)
    }
}

/// Where a user stands with the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserState {
    #[default]
    Active,
    Banned,
    Deregistered,
}

/// A person with an account.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) nickname: String,
    pub(crate) avatar: String,
    /// `""`, `EAccountM`, `EAccountS` or `EAccountK`.
    pub(crate) e_account_role: String,
    pub(crate) state: UserState,
    /// May not post.
    pub(crate) posting_banned: bool,
    /// How many plays a post of theirs gets, against others', in thousandths.
    pub(crate) reach_permille: i64,
    /// Whom they follow, and since when (milliseconds).
    pub(crate) follows: BTreeMap<String, i64>,
}

/// How an app is asked for; what is left out is made up from the seed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AppDraft {
    pub(crate) client_key: Option<String>,
    pub(crate) client_secret: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) developer: Option<String>,
    pub(crate) redirect_uris: Option<Vec<String>>,
    pub(crate) scopes: Option<BTreeSet<String>>,
    pub(crate) state: Option<AppState>,
    pub(crate) webhook_secret: Option<String>,
    pub(crate) subscriptions: Option<BTreeMap<String, bool>>,
}

/// How a user is asked for; what is left out is made up from the seed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UserDraft {
    pub(crate) nickname: Option<String>,
    pub(crate) e_account_role: Option<String>,
    pub(crate) state: Option<UserState>,
    pub(crate) posting_banned: Option<bool>,
    pub(crate) reach_permille: Option<i64>,
    /// Users they follow from now on.
    pub(crate) follows: Option<Vec<String>>,
}

impl Platform {
    /// A new app; `None` when its client_key is taken.
    pub(crate) fn add_app(&mut self, draft: AppDraft) -> Option<App> {
        let number = self.next("app").to_string();
        let client_key = draft
            .client_key
            .clone()
            .unwrap_or_else(|| format!("aw{}", self.chance.hex("client_key", &[&number], 14)));
        if self.apps.contains_key(&client_key) || client_key.is_empty() {
            return None;
        }
        let app = App {
            client_secret: self.chance.hex("client_secret", &[&number], 32),
            name: format!("app {number}"),
            developer: "developer_1".to_owned(),
            redirect_uris: Vec::new(),
            scopes: SCOPES.map(str::to_owned).into(),
            state: AppState::Approved,
            webhook_secret: None,
            webhook_url: None,
            subscriptions: BTreeMap::new(),
            webhook_failures: 0,
            client_tokens: Vec::new(),
            client_key: client_key.clone(),
        };
        self.apps.insert(client_key.clone(), app);
        for user in self.users.keys().cloned().collect::<Vec<_>>() {
            self.open_ids.insert(self.open_id(&client_key, &user), (client_key.clone(), user));
        }
        self.name_posts_for(&client_key);
        self.change_app(&client_key, draft)
    }

    /// Changes what the draft names; `None` when there is no such app.
    pub(crate) fn change_app(&mut self, client_key: &str, draft: AppDraft) -> Option<App> {
        let app = self.apps.get_mut(client_key)?;
        set(&mut app.client_secret, draft.client_secret);
        set(&mut app.name, draft.name);
        set(&mut app.developer, draft.developer);
        set(&mut app.redirect_uris, draft.redirect_uris);
        set(&mut app.scopes, draft.scopes);
        set(&mut app.state, draft.state);
        if draft.webhook_secret.is_some() {
            app.webhook_secret = draft.webhook_secret.filter(|secret| !secret.is_empty());
        }
        let subscriptions = draft.subscriptions.unwrap_or_default();
        if subscriptions.values().any(|on| *on) {
            app.webhook_failures = 0;
        }
        app.subscriptions.extend(subscriptions);
        Some(app.clone())
    }

    /// A new user.
    pub(crate) fn add_user(&mut self, draft: UserDraft) -> Option<User> {
        let id = format!("user_{}", self.next("user"));
        let user = User {
            nickname: id.clone(),
            avatar: format!("https://img.sandbox.invalid/a/{id}.jpeg"),
            e_account_role: String::new(),
            state: UserState::Active,
            posting_banned: false,
            reach_permille: self.chance.between("reach", &[&id], 500, 2_000),
            follows: BTreeMap::new(),
            id: id.clone(),
        };
        self.users.insert(id.clone(), user);
        for client_key in self.apps.keys().cloned().collect::<Vec<_>>() {
            self.open_ids.insert(self.open_id(&client_key, &id), (client_key, id.clone()));
        }
        self.change_user(&id, draft)
    }

    /// Changes what the draft names; `None` when there is no such user.
    pub(crate) fn change_user(&mut self, id: &str, draft: UserDraft) -> Option<User> {
        let now_ms = self.now_ms();
        let user = self.users.get_mut(id)?;
        set(&mut user.nickname, draft.nickname);
        set(&mut user.e_account_role, draft.e_account_role);
        set(&mut user.state, draft.state);
        set(&mut user.posting_banned, draft.posting_banned);
        set(&mut user.reach_permille, draft.reach_permille);
        for followed in draft.follows.unwrap_or_default() {
            user.follows.entry(followed).or_insert(now_ms);
        }
        Some(user.clone())
    }

    /// What the app calls the user.
    pub(crate) fn open_id(&self, client_key: &str, user: &str) -> String {
        self.chance.uuid("open_id", &[client_key, user])
    }

    /// What all apps of the app's developer call the user.
    pub(crate) fn union_id(&self, client_key: &str, user: &str) -> String {
        let developer = self.apps.get(client_key).map_or("", |app| &app.developer);
        self.chance.uuid("union_id", &[developer, user])
    }

    /// The user an app means by an open_id.
    pub(crate) fn user_of(&self, client_key: &str, open_id: &str) -> Option<&User> {
        let (app, user) = self.open_ids.get(open_id)?;
        self.users.get(user).filter(|_| app == client_key)
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
