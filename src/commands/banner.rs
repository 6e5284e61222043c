//! What a person reads when the server is up.

use std::io::{self, Write};

use crate::server::Server;
use crate::web::Demo;

/// Prints where the server listens, and in the demo everything one needs to try it. Nobody may be reading.
pub(super) fn print(server: &Server) {
    let url = server.url();
    if let Some(demo) = server.demo() {
        let _ = print_demo(&mut io::stdout().lock(), &url, demo);
    }
    // Scripts wait for this line.
    let _ = writeln!(io::stderr(), "listening on {url}");
}

fn print_demo(out: &mut impl Write, url: &str, demo: &Demo) -> io::Result<()> {
    writeln!(out, "jivchat demo\n")?;
    writeln!(
        out,
        "  chat page   {url}/   (open it in two tabs, as two users)"
    )?;
    writeln!(out, "  REST        {url}/api/chat")?;
    writeln!(out, "  Socket.IO   {url}   path /socket.io/")?;
    writeln!(out, "  API docs    {url}/docs")?;
    writeln!(out, "  health      {url}/health\n")?;
    for user in demo.users() {
        writeln!(out, "{} ({})  {url}/?user={}", user.name, user.id, user.id)?;
        writeln!(out, "  token  {}", user.token)?;
        writeln!(
            out,
            "  curl -s {url}/api/chat/my-chats -H 'Authorization: Bearer {}'\n",
            user.token
        )?;
    }
    writeln!(
        out,
        "Stop with Ctrl-C. Everything is kept; the demo data is added only once.\n"
    )?;
    out.flush()
}
