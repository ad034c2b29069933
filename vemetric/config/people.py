"""The settings of what people have to do with: accounts, letters, signing in elsewhere, pictures, billing."""

from vemetric.config.option import Option, number
from vemetric.config.values import one_of, parse_mailbox, parse_plans, parse_server_url, switch

OPTIONS: tuple[Option, ...] = (
    Option(
        "VEMETRIC_SIGN_UP",
        "closed",
        one_of("closed", "invited", "open"),
        "closed, invited or open",
        "Who may make an account on the sign-up page: nobody, whoever has an invitation, or anybody. The first account "
        "is made through the set-up link, others by `vemetric account create`, whatever stands here.",
    ),
    Option(
        "VEMETRIC_MAIL_FROM",
        "",
        parse_mailbox,
        "an e-mail address, or a name with one: Vemetric <stats@example.com>",
        "The sender of letters. Needed as soon as SMTP_HOST or POSTMARK_SERVER_API_TOKEN is set.",
    ),
    Option(
        "VEMETRIC_MAIL_TIPS",
        "on",
        switch("on", "off"),
        "on or off",
        "Whether people who have no project yet, or no event, are written a few letters that help. Each can be "
        "unsubscribed from.",
    ),
    Option(
        "SMTP_HOST",
        "",
        str,
        "the name or address of a mail server",
        "The server that letters are sent through. Without it and Postmark they are written to the log and kept for "
        "the operator: `vemetric mail outbox`.",
    ),
    number("SMTP_PORT", 587, 1, 65535, "ports", "Where the mail server listens."),
    Option(
        "SMTP_TLS",
        "starttls",
        one_of("starttls", "tls", "none"),
        "starttls, tls or none",
        "How the connection to the mail server is encrypted: after STARTTLS (587), from the first byte (465), not.",
    ),
    Option("SMTP_USER", "", str, "text", "Whom to sign in to the mail server as; nobody without it."),
    Option("SMTP_PASSWORD", "", str, "text", "The password for the mail server.", secret=True),
    Option(
        "POSTMARK_SERVER_API_TOKEN",
        "",
        str,
        "a server token of Postmark",
        "Send letters through Postmark instead of SMTP.",
        secret=True,
    ),
    Option(
        "POSTMARK_TRANSACTIONAL_MESSAGE_STREAM_ID",
        "outbound",
        str,
        "the id of a message stream",
        "Postmark's stream for letters that somebody waits for.",
    ),
    Option(
        "POSTMARK_TIPS_MESSAGE_STREAM_ID",
        "broadcast",
        str,
        "the id of a message stream",
        "Postmark's stream for letters with tips.",
    ),
    Option("GOOGLE_CLIENT_ID", "", str, "text", "Signing in with Google; needs GOOGLE_CLIENT_SECRET."),
    Option("GOOGLE_CLIENT_SECRET", "", str, "text", "The secret of the Google client.", secret=True),
    Option("GITHUB_CLIENT_ID", "", str, "text", "Signing in with GitHub; needs GITHUB_CLIENT_SECRET."),
    Option("GITHUB_CLIENT_SECRET", "", str, "text", "The secret of the GitHub client.", secret=True),
    Option(
        "GITHUB_URL",
        "https://github.com",
        parse_server_url,
        "an http or https address",
        "Another GitHub, of a company.",
    ),
    Option(
        "OIDC_ISSUER",
        "",
        parse_server_url,
        "an http or https address",
        "Signing in with any OpenID Connect provider: its issuer. Needs OIDC_CLIENT_ID and OIDC_CLIENT_SECRET.",
    ),
    Option("OIDC_CLIENT_ID", "", str, "text", "The client that the provider knows this server as."),
    Option("OIDC_CLIENT_SECRET", "", str, "text", "The secret of that client.", secret=True),
    Option("OIDC_NAME", "Single sign-on", str, "text", "What the provider's button says."),
    Option("OIDC_SCOPES", "openid email profile", str, "scopes with spaces between", "What the provider is asked for."),
    Option("AWS_ACCESS_KEY_ID", "", str, "text", "The key for the bucket that pictures of people are kept in."),
    Option("AWS_SECRET_ACCESS_KEY", "", str, "text", "The secret of that key.", secret=True),
    Option(
        "AWS_S3_ENDPOINT",
        "",
        parse_server_url,
        "an http or https address",
        "The S3 service that pictures of people are kept in, with key, secret and bucket. Without it they are kept in "
        "the data directory.",
    ),
    Option("AWS_S3_AVATARS_BUCKET", "", str, "the name of a bucket", "The bucket for pictures of people."),
    Option("AWS_S3_AVATARS_REGION", "auto", str, "the name of a region", "The region of the bucket."),
    Option(
        "AWS_S3_AVATARS_KEY_PREFIX", "avatars/", str, "text", "What the names of pictures in the bucket begin with."
    ),
    Option(
        "PADDLE_WEBHOOK_SECRET_KEY",
        "",
        str,
        "text",
        "Switches billing on: the secret that Paddle signs its notices of subscriptions with.",
        secret=True,
    ),
    Option(
        "PADDLE_PLANS",
        "",
        parse_plans,
        "a comma list of price=events, such as pri_a=10000,pri_b=100000",
        "The events a month that each of Paddle's prices buys. More are counted all the same, with a warning.",
    ),
    Option(
        "PADDLE_API_KEY",
        "",
        str,
        "text",
        "Lets admins buy a plan of PADDLE_PLANS, change it, see invoices and cancel, through Paddle's API. Needs "
        "PADDLE_WEBHOOK_SECRET_KEY.",
        secret=True,
    ),
    Option(
        "PADDLE_ENVIRONMENT",
        "sandbox",
        one_of("sandbox", "production"),
        "sandbox or production",
        "Which Paddle PADDLE_API_KEY is of.",
    ),
)
