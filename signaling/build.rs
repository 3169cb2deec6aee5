//! Embeds the page anew when a file of it comes or goes. A debug build reads the page from disk and needs none of this.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("PROFILE").as_deref() == Ok("release") {
        for folder in
            ["index.html", "arena.html", "dashboard.html", "app", "arena", "dashboard", "sdk", "style"]
        {
            println!("cargo:rerun-if-changed=../web/{folder}");
        }
    }
}
