//! Figures: daily rows of posts and users, and what is known of fans.
//!
//! A day is out at 10:00 in Beijing on the next; nothing is shown of the days before the scope was first granted. Gaps
//! are rows of zeros: there are always as many rows as were asked for, ending yesterday.

use serde_json::{Value, json};

use super::{Envelope, Route, access, call::Call, route};
use crate::platform::{
    Platform,
    calendar::{DAY_MS, SECOND_MS, date, day_of, day_start_ms},
    posts::{Post, Stage},
    refusal::Refusal,
    traffic::Figures,
};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/data/external/item/base/", Envelope::A, item_base),
    route("GET", "/data/external/item/like/", Envelope::A, |p, c| {
        item_rows(p, c, &[7, 15, 30], "like", |f| f.digg)
    }),
    route("GET", "/data/external/item/comment/", Envelope::A, |p, c| {
        item_rows(p, c, &[7, 15], "comment", |f| f.comment)
    }),
    route("GET", "/data/external/item/play/", Envelope::A, |p, c| {
        item_rows(p, c, &[7, 15], "play", |f| f.play)
    }),
    route("GET", "/data/external/item/share/", Envelope::A, |p, c| {
        item_rows(p, c, &[7, 15, 30], "share", |f| f.share)
    }),
    route("GET", "/data/external/user/item/", Envelope::A, |p, c| user_rows(p, c, user_item)),
    route("GET", "/data/external/user/fans/", Envelope::A, |p, c| user_rows(p, c, user_fans)),
    route("GET", "/data/external/user/like/", Envelope::A, |p, c| {
        user_rows(p, c, |d| json!({ "new_like": d.sum.digg }))
    }),
    route("GET", "/data/external/user/comment/", Envelope::A, |p, c| {
        user_rows(p, c, |d| json!({ "new_comment": d.sum.comment }))
    }),
    route("GET", "/data/external/user/share/", Envelope::A, |p, c| {
        user_rows(p, c, |d| json!({ "new_share": d.sum.share }))
    }),
    route("GET", "/data/external/user/profile/", Envelope::A, |p, c| {
        user_rows(p, c, |d| json!({ "profile_uv": d.sum.play / 20 }))
    }),
    route("GET", "/api/douyin/v1/user/fans_data/", Envelope::A, |p, c| fans_data(p, c, "fans.data.bind")),
    route("GET", "/fans/data/", Envelope::A, |p, c| fans_data(p, c, "fans.data")),
    route("GET", "/data/extern/fans/source/", Envelope::A, fans_source),
    route("GET", "/data/extern/fans/favourite/", Envelope::A, fans_favourite),
    route("GET", "/data/extern/fans/comment/", Envelope::A, fans_comment),
    route("GET", "/fans/check/", Envelope::A, fans_check),
];

/// Days a post's figures go back.
const ITEM_DAYS: i64 = 30;

/// One day of a user.
struct Day<'a> {
    platform: &'a Platform,
    user: &'a str,
    date: i64,
    /// False where the row is a gap.
    out: bool,
    sum: Figures,
}

fn date_type(call: &Call, allowed: &[i64]) -> Result<i64, Refusal> {
    let days = call.asked("date_type").parse().ok().filter(|days| allowed.contains(days));
    days.ok_or(Refusal::BadParameter("date_type"))
}

/// The caller's own post, young enough for figures, and the first day there are any of.
fn item(platform: &mut Platform, call: &Call) -> Result<(Post, Option<i64>), Refusal> {
    let caller = access::user(platform, call, "data.external.item")?;
    let post = platform.post_of(&caller.client_key, call.asked("item_id"));
    let there = |post: &&Post| post.user == caller.user && post.stage(platform.now_ms()) != Stage::Deleted;
    let young = |post: &&Post| platform.now_ms() - post.created_ms <= ITEM_DAYS * DAY_MS;
    let post = post.filter(there).filter(young).cloned().ok_or(Refusal::BadParameter("item_id"))?;
    let first = platform.first_granted_day(&caller.client_key, &caller.user, "data.external.item");
    Ok((post, first))
}

fn item_day(platform: &Platform, post: &Post, day: i64, first: Option<i64>) -> Figures {
    if platform.is_out(day, first) { platform.figures_of_day(post, day) } else { Figures::default() }
}

fn item_base(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let (post, first) = item(platform, call)?;
    let today = day_of(platform.now_ms());
    let days: Vec<_> = (today - ITEM_DAYS..today).map(|day| item_day(platform, &post, day, first)).collect();
    let total = |of: fn(&Figures) -> i64| days.iter().map(of).sum::<i64>();
    let plays = total(|f| f.play);
    let longest = (post.duration_ms / 100).max(10);
    let tenths = platform.chance.between("watched", &[&post.number.to_string()], 10, longest);
    // As text first: the platform's figure is a decimal with one place, and so it stays.
    let seconds =
        if plays == 0 { 0.0 } else { format!("{}.{}", tenths / 10, tenths % 10).parse().unwrap_or(0.0) };
    Ok(json!({ "result": {
        "total_like": total(|f| f.digg), "total_comment": total(|f| f.comment), "total_share": total(|f| f.share),
        "total_play": plays, "avg_play_duration": seconds,
    } }))
}

fn item_rows(
    platform: &mut Platform,
    call: &Call,
    allowed: &[i64],
    name: &str,
    of: fn(&Figures) -> i64,
) -> Result<Value, Refusal> {
    let (post, first) = item(platform, call)?;
    let days = date_type(call, allowed)?;
    let today = day_of(platform.now_ms());
    let row = |day| json!({ "date": date(day), name: of(&item_day(platform, &post, day, first)) });
    Ok(json!({ "result_list": (today - days..today).map(row).collect::<Vec<_>>() }))
}

fn user_rows(platform: &mut Platform, call: &Call, columns: fn(&Day<'_>) -> Value) -> Result<Value, Refusal> {
    let caller = access::user(platform, call, "data.external.user")?;
    let days = date_type(call, &[7, 15, 30])?;
    let first = platform.first_granted_day(&caller.client_key, &caller.user, "data.external.user");
    let today = day_of(platform.now_ms());
    let row = |day| {
        let out = platform.is_out(day, first);
        let mut sum = Figures::default();
        for post in platform.posts.all.values().filter(|post| out && post.user == caller.user) {
            let of_day = platform.figures_of_day(post, day);
            sum.play += of_day.play;
            sum.digg += of_day.digg;
            sum.comment += of_day.comment;
            sum.share += of_day.share;
        }
        let mut row = columns(&Day { platform, user: &caller.user, date: day, out, sum });
        row["date"] = date(day).into();
        row
    };
    Ok(json!({ "result_list": (today - days..today).map(row).collect::<Vec<_>>() }))
}

fn user_item(day: &Day<'_>) -> Value {
    let posts = |until: i64| {
        let of_user = |post: &&Post| post.user == day.user && post.created_ms < day_start_ms(until);
        if day.out { day.platform.posts.all.values().filter(of_user).count() } else { 0 }
    };
    let (before, after) = (posts(day.date), posts(day.date + 1));
    json!({ "new_issue": after - before, "new_play": day.sum.play, "total_issue": after })
}

fn user_fans(day: &Day<'_>) -> Value {
    if !day.out {
        return json!({ "new_fans": 0, "total_fans": 0 });
    }
    let (before, after) =
        (day.platform.fans_at(day.user, day.date - 1), day.platform.fans_at(day.user, day.date));
    json!({ "new_fans": (after - before).max(0), "total_fans": after })
}

fn fans_data(platform: &mut Platform, call: &Call, scope: &str) -> Result<Value, Refusal> {
    const SPREADS: [(&str, &[&str]); 6] = [
        ("gender_distributions", &["1", "2"]),
        ("age_distributions", &["1-23", "24-30", "31-40", "41-50", "50-"]),
        ("geographical_distributions", &["北京", "上海", "广东", "浙江", "四川"]),
        ("device_distributions", &["iPhone", "HUAWEI", "OPPO", "vivo", "Xiaomi"]),
        ("interest_distributions", &["生活", "美食", "旅行", "音乐"]),
        ("active_days_distributions", &["0~4", "5~8", "9~12", "13~16", "17~20", "21~24", "25~28", "29+"]),
    ];
    let caller = access::user(platform, call, scope)?;
    let fans = platform.fans_at(&caller.user, day_of(platform.now_ms()) - 1);
    let mut data = json!({ "all_fans_num": fans });
    for (name, items) in SPREADS {
        let mut left = fans;
        let mut spread = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let last = index + 1 == items.len();
            let part = left * platform.chance.between(name, &[&caller.user, item], 200, 700) / 1_000;
            let value = if last { left } else { part };
            left -= value;
            spread.push(json!({ "item": item, "value": value }));
        }
        data[name] = spread.into();
    }
    let flows = ["vv", "like_cnt", "comment_cnt", "share_video_cnt"];
    let flow = |flow: &&str| {
        let all = platform.chance.between("flow", &[&caller.user, flow], 0, 1_000);
        json!({ "flow": flow, "all_sum": all, "fans_sum": all / 3 })
    };
    data["flow_contributions"] = flows.iter().map(flow).collect();
    Ok(json!({ "fans_data": data }))
}

fn fans_source(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = access::user(platform, call, "fans.data")?;
    let first = platform.chance.between("source", &[&caller.user], 1_000, 9_000);
    let percent = |parts: i64| format!("{}.{:02}%", parts / 100, parts % 100);
    Ok(json!({ "list": [
        { "source": "推荐页", "percent": percent(first) },
        { "source": "其他", "percent": percent(10_000 - first) },
    ] }))
}

fn fans_favourite(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = access::user(platform, call, "fans.data")?;
    let heat = |word: &str| platform.chance.between("favourite", &[&caller.user, word], 1, 100_000);
    let mut words: Vec<_> = ["美食", "旅行", "音乐", "萌宠", "健身"].map(|word| (heat(word), word)).into();
    words.sort_by(|a, b| b.cmp(a));
    let row = |(rank, (heat, word)): (usize, &(i64, &str))| json!({ "rank": rank + 1, "keyword": word, "hot_value": heat });
    Ok(json!({ "list": words.iter().enumerate().map(row).collect::<Vec<_>>() }))
}

fn fans_comment(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = access::user(platform, call, "fans.data")?;
    let heat = |word: &str| platform.chance.between("said", &[&caller.user, word], 1, 10_000);
    let row = |word: &str| json!({ "keyword": word, "hot_value": heat(word) });
    let words = ["喜欢", "哪里买", "好看"].map(row);
    Ok(json!({ "list": words }))
}

fn fans_check(platform: &mut Platform, call: &Call) -> Result<Value, Refusal> {
    let caller = access::user(platform, call, "fans.data")?;
    let follower = call.asked("follower_open_id");
    if follower == call.asked("open_id") {
        return Err(Refusal::SamePerson);
    }
    let follower =
        platform.user_of(&caller.client_key, follower).ok_or(Refusal::BadParameter("follower_open_id"))?;
    let since = follower.follows.get(&caller.user).copied();
    Ok(json!({ "is_follower": since.is_some(), "follow_time": since.unwrap_or_default() / SECOND_MS }))
}
