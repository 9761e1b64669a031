use super::*;

fn read(module: &[&str], text: &str) -> Reading {
    let mut reading = Reading::new(module.iter().map(|&part| part.to_owned()).collect());
    reading.items(parsed("a text", text));
    reading
}

fn names(module: &[&str], text: &str) -> Vec<String> {
    read(module, text).names.into_iter().map(|name| name.parts.join("::")).collect()
}

#[test]
fn paths_are_resolved_from_the_root_of_the_crate() {
    let module = ["sync", "cycle", "push"];
    assert_eq!(names(&module, "use crate::model::Digest;"), ["crate::model::Digest"]);
    assert_eq!(names(&module, "use super::super::super::log;"), ["crate::log"]);
    assert_eq!(names(&module, "use self::small::X;"), ["crate::sync::cycle::push::small::X"]);
    assert_eq!(
        names(&module, "fn f() { super::report::of(std::fs::read) }"),
        ["crate::sync::cycle::report::of", "std::fs::read"]
    );
    let listed = "use crate::{model::{Digest, id::Id}, plan};";
    assert_eq!(names(&module, listed), ["crate::model::Digest", "crate::model::id::Id", "crate::plan"]);
    assert_eq!(names(&["a"], "mod b { use super::super::c; }"), ["crate::c"]);
    assert_eq!(names(&["a"], "println!(\"{}\", crate::b::c())"), ["crate::b::c"]);
}

#[test]
fn comments_and_strings_name_nothing() {
    assert!(
        names(&["a"], "/// [`crate::b::c`]\n// crate::d::e\nconst X: &str = \"crate::f::g\";").is_empty()
    );
}

#[test]
fn test_modules_are_left_out_and_what_follows_them_is_not() {
    let text = "use crate::a::A;\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n    const X: &str = \"}\";\n}\n\
                use crate::c::C;\n#[cfg(test)]\npub(super) mod data;\n#[cfg(test)]\nfn of_tests() { crate::d::d() }\n";
    let reading = read(&["m"], text);
    let named: Vec<&str> = reading.names.iter().map(|name| name.parts[1].as_str()).collect();
    assert_eq!((named, reading.test_lines), (vec!["a", "c", "d"], 5));
    assert_eq!(reading.tests, [["m", "data"]]);
}

#[test]
fn functions_are_counted_by_lines_and_arguments() {
    let text = "
        impl A {
            pub fn small(&mut self) {}
            async fn large<F: Fn(u8, u8) -> u8>(
                self: Arc<Self>,
                map: BTreeMap<String, Vec<u8>>,
                of: impl Fn(u8, u8) -> u8,
            ) -> Result<(), E>
            where
                F: Sized,
            {
                |a, b| a
            }
            fn asked(&'a self, (x, y): (u8, u8), z: u8);
        }
    ";
    let functions = read(&[], text).functions;
    let told: Vec<_> = functions.iter().map(|one| (one.name.as_str(), one.lines, one.arguments)).collect();
    assert_eq!(told, [("small", 1, 0), ("large", 10, 2), ("asked", 1, 2)]);
}

#[test]
fn a_file_is_the_module_that_its_path_says() {
    let module = |path: &str| module_of(Path::new(path)).join("::");
    assert_eq!(["lib.rs", "main.rs", "a.rs", "a/mod.rs", "a/b.rs"].map(module), ["", "", "a", "a", "a::b"]);
}
