//! Postgres and Redis in containers.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use server::stores::RespConnection;
use sqlx::{Connection, PgConnection};
use testcontainers::GenericImage;
use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::{ListContainersOptions, RemoveContainerOptions};
use testcontainers::core::{ContainerAsync, ContainerRequest, ImageExt, IntoContainerPort};
use testcontainers::runners::AsyncRunner;
use tokio::time::{sleep, timeout};
use url::Url;

use super::{HarnessError, TestStores, setting};

const POSTGRES_IMAGE: &str = "postgres:17";
const REDIS_IMAGE: &str = "redis:7";
const USER: &str = "matricula";
/// Marks the containers of a keeper with its folder, so that the next one finds what a killed one left.
const LABEL: &str = "matricula.test-stores";
/// Longest a server may take to answer once its container runs.
const READY_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The two containers of a test run.
pub(super) struct Containers {
    postgres: ContainerAsync<GenericImage>,
    redis: ContainerAsync<GenericImage>,
    stores: TestStores,
}

impl Containers {
    /// Starts both, once what an earlier keeper of `folder` left is removed. When one does not start, none is left.
    pub(super) async fn start(folder: &Path) -> Result<Self, HarnessError> {
        let label = folder.to_str().ok_or("the folder's name is not text")?;
        remove_all(label).await?;
        let started = Box::pin(Self::start_both(label)).await;
        if started.is_err() {
            remove_all(label).await?;
        }
        started
    }

    async fn start_both(label: &str) -> Result<Self, HarnessError> {
        // Docker publishes ports to the whole network, so even a test's server wants a password nobody can guess.
        let password = password()?;
        // Not `try_join`: it would abandon the second in the middle of being made.
        let (postgres, redis) =
            tokio::join!(postgres(label, &password).start(), redis(label, &password).start());
        let (postgres, redis) = (postgres?, redis?);
        let at = async |container: &ContainerAsync<GenericImage>, port: u16| {
            let (host, port) = (container.get_host().await?, container.get_host_port_ipv4(port).await?);
            Ok::<_, HarnessError>(format!("{host}:{port}"))
        };
        let admin_url =
            format!("postgres://{USER}:{password}@{}/postgres?sslmode=disable", at(&postgres, 5432).await?);
        let redis_url = format!("redis://:{password}@{}/0", at(&redis, 6379).await?);
        wait_for_postgres(&admin_url).await?;
        wait_for_redis(&redis_url).await?;
        Ok(Self { postgres, redis, stores: TestStores { admin_url, redis_url } })
    }

    /// Where they are.
    pub(super) fn stores(&self) -> &TestStores {
        &self.stores
    }

    /// Removes both, even when one resists.
    pub(super) async fn stop(self) -> Result<(), HarnessError> {
        let (postgres, redis) = tokio::join!(self.postgres.rm(), self.redis.rm());
        Ok(postgres.and(redis)?)
    }
}

fn postgres(label: &str, password: &str) -> ContainerRequest<GenericImage> {
    let settings = [
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "max_connections=500",
        "timezone=UTC",
    ];
    let command = settings.iter().flat_map(|setting| ["-c", setting]);
    image("MATRICULA_TEST_POSTGRES_IMAGE", POSTGRES_IMAGE, 5432)
        .with_env_var("POSTGRES_USER", USER)
        .with_env_var("POSTGRES_PASSWORD", password)
        .with_env_var("POSTGRES_DB", "postgres")
        .with_env_var("POSTGRES_INITDB_ARGS", "--encoding=UTF8 --locale=C.UTF-8 --data-checksums")
        .with_cmd(["postgres"].into_iter().chain(command))
        .with_label(LABEL, label)
}

fn redis(label: &str, password: &str) -> ContainerRequest<GenericImage> {
    image("MATRICULA_TEST_REDIS_IMAGE", REDIS_IMAGE, 6379)
        .with_cmd(["redis-server", "--save", "", "--appendonly", "no", "--requirepass", password])
        .with_label(LABEL, label)
}

fn image(setting_name: &str, usual: &str, port: u16) -> ContainerRequest<GenericImage> {
    let name = setting(setting_name).unwrap_or_else(|| usual.to_owned());
    // A colon before the last slash belongs to a registry's port.
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        Some(_) | None => (name.as_str(), "latest"),
    };
    GenericImage::new(name, tag).with_exposed_port(port.tcp()).into()
}

/// Removes the containers with this keeper's mark. One that was killed could not, and nobody else does.
async fn remove_all(label: &str) -> Result<(), HarnessError> {
    let docker = Docker::connect_with_defaults()?;
    let filters = HashMap::from([("label".to_owned(), vec![format!("{LABEL}={label}")])]);
    let left =
        ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
    for id in docker.list_containers(Some(left)).await?.into_iter().filter_map(|container| container.id) {
        let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        docker.remove_container(&id, Some(options)).await?;
    }
    Ok(())
}

async fn wait_for_postgres(url: &str) -> Result<(), HarnessError> {
    let answer = async {
        loop {
            // The image starts a first server without TCP to set itself up, so an answer over TCP is the real one's.
            match Box::pin(PgConnection::connect(url)).await {
                Ok(connection) => return connection.close().await,
                Err(_) => sleep(LOOK_EVERY).await,
            }
        }
    };
    Ok(timeout(READY_WITHIN, answer)
        .await
        .map_err(|_| "Postgres runs in its container but does not answer")??)
}

async fn wait_for_redis(url: &str) -> Result<(), HarnessError> {
    let url = Url::parse(url)?;
    let answer = async {
        loop {
            let Ok(mut connection) = RespConnection::open(&url).await else {
                sleep(LOOK_EVERY).await;
                continue;
            };
            return connection.call(&["PING"]).await;
        }
    };
    timeout(READY_WITHIN, answer).await.map_err(|_| "Redis runs in its container but does not answer")??;
    Ok(())
}

fn password() -> Result<String, HarnessError> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.map(|byte| format!("{byte:02x}")).concat())
}

#[cfg(test)]
mod tests {
    use testcontainers::Image;

    use super::*;

    #[test]
    fn an_image_is_a_name_and_a_tag() {
        fn check(text: &str, expected: (&str, &str)) {
            let image = image("MATRICULA_TEST_NO_SUCH_SETTING", text, 1);
            assert_eq!((image.image().name(), image.image().tag()), expected, "{text}");
        }
        check("postgres:17", ("postgres", "17"));
        check("postgres", ("postgres", "latest"));
        check("mirror:5000/postgres", ("mirror:5000/postgres", "latest"));
        check("mirror:5000/postgres:17", ("mirror:5000/postgres", "17"));
    }

    #[test]
    fn a_password_is_drawn_anew() {
        assert_ne!(password().expect("drawn"), password().expect("drawn again"));
    }
}
