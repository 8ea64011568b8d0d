//! Creating objects on a server that may be busy.

use std::time::Duration;

use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

use crate::error::{Error, Result};

/// The longest one create request may take.
const CREATE: Duration = Duration::from_secs(30);

/// Creates an object that may be there already.
pub(crate) async fn create<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + serde::de::DeserializeOwned
        + serde::Serialize
        + std::fmt::Debug,
{
    let action = format!("create {} {}", K::kind(&()), object.name_any());
    let params = PostParams::default();
    patiently(&action, async || {
        api.create(&params, object).await.map(drop)
    })
    .await
}

/// Posts an object without reading it back: of the answer, which the server is asked to keep short, only the status counts.
pub(crate) async fn post(client: &Client, url: &str, body: String) -> kube::Result<()> {
    let request = http::Request::post(url)
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(
            http::header::ACCEPT,
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        )
        .body(body.into_bytes())
        .map_err(kube::Error::HttpError)?;
    client.request_text(request).await.map(drop)
}

/// Does what creates an object until the object is there: a server that is busy or slow to answer is asked again.
pub(crate) async fn patiently(
    action: &str,
    mut create: impl AsyncFnMut() -> kube::Result<()>,
) -> Result<()> {
    for attempt in 0_u32.. {
        let again = attempt < 5;
        match tokio::time::timeout(CREATE, create()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => return Ok(()),
            Ok(Err(kube::Error::Api(status)))
                if again && (status.code == 429 || status.code >= 500) => {}
            Ok(Err(kube::Error::Api(status))) => {
                return Err(Error::kube(action)(kube::Error::Api(status)));
            }
            // The connection broke: the server may or may not have taken it.
            Ok(Err(_)) | Err(_) if again => {}
            Ok(Err(error)) => return Err(Error::kube(action)(error)),
            Err(_) => break,
        }
        tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
    }
    Err(Error::Deadline {
        action: action.to_owned(),
        seconds: CREATE.as_secs(),
    })
}
