//! Rights of a key: what a policy of AWS, or a key of B2, allows. All else is refused.

use hyper::Uri;
use serde_json::Value;

/// Actions of AWS that a key may do, each on some keys of the bucket.
#[derive(Debug, Clone)]
pub struct Rights(Vec<Right>);

#[derive(Debug, Clone)]
struct Right {
    action: String,
    /// Beginning of the keys, or of the prefixes of listings, that it is for. None for the bucket
    /// as a whole.
    beginning: Option<String>,
}

/// One request, as rights see it.
pub struct Wish<'a> {
    pub operation: &'a str,
    pub key: Option<&'a str>,
    pub uri: &'a Uri,
    /// True if there is an object of that key.
    pub is_there: bool,
}

impl Rights {
    /// The rights of an AWS policy for the bucket `bucket`.
    pub fn of_policy(policy: &str, bucket: &str) -> Self {
        let policy: Value = serde_json::from_str(policy).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        Self(statements.iter().flat_map(|statement| of_statement(statement, bucket)).collect())
    }

    /// The rights of a B2 key with these capabilities, below a prefix of names: what each lets a
    /// key do by the S3 interface.
    pub fn of_capabilities(capabilities: &str, beginning: &str) -> Self {
        let right = |action: &str, on_bucket: bool| Right {
            action: format!("s3:{action}"),
            beginning: (!on_bucket).then(|| beginning.to_owned()),
        };
        let of = |capability| match capability {
            // It tells that an object is missing.
            "listBuckets" => vec![right("ListBucket", true)],
            "listFiles" => vec![right("ListBucket", false), right("ListBucketVersions", false)],
            "readFiles" => vec![right("GetObject", false)],
            // A DELETE without a version writes a mark that hides the object.
            "writeFiles" => vec![right("PutObject", false), right("DeleteObject", false)],
            "deleteFiles" => vec![right("DeleteObjectVersion", false)],
            other => panic!("what does {other} allow?"),
        };
        Self(capabilities.split(',').flat_map(of).collect())
    }

    /// The actions, each once.
    pub fn actions(&self) -> Vec<String> {
        let mut actions: Vec<String> = self.0.iter().map(|right| right.action.clone()).collect();
        actions.sort();
        actions.dedup();
        actions
    }

    /// These rights and others.
    pub fn and(&self, others: Self) -> Self {
        Self(self.0.iter().cloned().chain(others.0).collect())
    }

    /// The same rights but for one action.
    pub fn without(&self, action: &str) -> Self {
        Self(self.0.iter().filter(|right| right.action != action).cloned().collect())
    }

    /// True if these rights allow a request.
    pub fn allow(&self, wish: &Wish<'_>) -> bool {
        let query = wish.uri.query().unwrap_or_default();
        let asks = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let listed = asks("prefix").unwrap_or_default().replace("%2F", "/");
        let action = match wish.operation {
            "ListObjectsV2" => "ListBucket",
            "ListObjectVersions" => "ListBucketVersions",
            "HeadObject" => "GetObject",
            "DeleteObject" if asks("versionId").is_some() => "DeleteObjectVersion",
            other => other,
        };
        let about = wish.key.unwrap_or(&listed);
        let may = self.may(action, Some(about));
        // Who may not list is not told that an object is missing: the condition on a prefix holds
        // for listings alone.
        let reads = matches!(wish.operation, "GetObject" | "HeadObject");
        may && (!reads || wish.is_there || self.may("ListBucket", None))
    }

    fn may(&self, action: &str, about: Option<&str>) -> bool {
        let covers = |beginning: &Option<String>| match (beginning, about) {
            (None, _) => true,
            (Some(beginning), Some(about)) => about.starts_with(beginning.as_str()),
            (Some(_), None) => false,
        };
        self.0.iter().any(|right| right.action["s3:".len()..] == *action && covers(&right.beginning))
    }
}

fn of_statement(statement: &Value, bucket: &str) -> Vec<Right> {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{statement}")).to_owned();
    assert_eq!(statement["Effect"], "Allow");
    let actions = match &statement["Action"] {
        Value::Array(actions) => actions.iter().map(text).collect(),
        one => vec![text(one)],
    };
    let resource = text(&statement["Resource"]);
    let resource = resource.strip_prefix(&format!("arn:aws:s3:::{bucket}")).unwrap();
    let pattern = match statement.get("Condition") {
        Some(condition) => Some(text(&condition["StringLike"]["s3:prefix"])),
        None => resource.strip_prefix('/').map(str::to_owned),
    };
    let beginning = pattern.map(|pattern| pattern.strip_suffix('*').expect("it ends with *").to_owned());
    actions.into_iter().map(|action| Right { action, beginning: beginning.clone() }).collect()
}
