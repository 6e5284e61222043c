//! What a person reads when the server is up.

use crate::server::Server;
use crate::web::DemoUser;

/// Prints where the server listens, and in the demo everything one needs to try it.
pub(super) fn print(server: &Server) {
    let url = format!("http://{}", server.address());
    if let Some(demo) = server.demo() {
        println!("jivchat demo\n");
        println!("  chat page   {url}/   (open it in two tabs, as two users)");
        println!("  REST        {url}/api/chat");
        println!("  Socket.IO   {url}   path /socket.io/");
        println!("  health      {url}/health\n");
        for user in demo.users() {
            print_user(&url, user);
        }
        println!("Stop with Ctrl-C. Everything is kept; the demo data is added only once.\n");
    }
    // Scripts wait for this line.
    eprintln!("listening on {url}");
}

fn print_user(url: &str, user: &DemoUser) {
    println!("{} ({})  {url}/?user={}", user.name, user.id, user.id);
    println!("  token  {}", user.token);
    println!(
        "  curl -s {url}/api/chat/my-chats -H 'Authorization: Bearer {}'\n",
        user.token
    );
}
