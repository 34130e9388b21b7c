// A session with the broker stage (gateway/BRIDGE.md): its state, the handshake, frames in.
// Commands.mqh acts on commands, Queries.mqh answers look-ups, Outgoing.mqh sends.

#include "TickAnswers.mqh"

#define HEARTBEAT_MS 1000
#define SILENCE_MS 3000
#define INFO_EVERY_MS 1000

#define STATE_CLOSED 0
#define STATE_CHALLENGED 1  // connected, the challenge has not come
#define STATE_GREETING 2    // HELLO sent
#define STATE_UP 3

struct Incoming
{
    ulong seq;
    ulong received_ms;
    Command command;
};

/// How often the account has shown no trace of a magic, in readings some time apart.
struct Negative
{
    ulong magic;
    int count;
    ulong last_ms;
};

class Session
{
private:
    int state_;
    Incoming batch_[];
    Negative negatives_[];
    ulong waiting_[];  // received, to be sent when the account allows
    ulong resent_[];   // received, to be looked up in the account before that
    bool sync_done_due_;
    ulong sent_event_;  // on this connection
    ulong info_event_;
    ulong info_ms_;
    double info_equity_;
    double info_balance_;
    double info_free_margin_;
    int info_permissions_;
    bool settled_;
    ulong last_up_ms_;
    ulong sessions_;  // of this run
    uchar nonce_[NONCE_BYTES];  // of the last HELLO

    void drop(const string why);
    bool take_frames();
    bool on_frame();
    void on_challenge();
    bool is_genuine();
    bool on_welcome();
    void on_denied();
    void run_batch();
    void on_command(const Incoming &incoming);
    void raise_floor(const Command &command);
    void answer_query(const Command &command);
    bool answer_from_account(const Command &command, Event &e, ulong &others[], bool &readable);
    bool has_settled(const int known);
    bool is_absent(const ulong magic, const int known);
    int count_negative(const ulong magic);
    void settle_after_restart();
    void retry_waiting();
    void submit(const ulong magic);
    bool settle_resent(const ulong magic);
    void retry_resent();
    void offer_info();
    void send_events();
    bool is_quiet();

public:
    Session() { reset(); }
    void reset();
    void take_over();
    bool is_up() { return state_ == STATE_UP; }
    void update();
    void stop();
    bool send_tick(const string symbol, const double bid, const double ask);
    ulong sessions() { return sessions_; }
};

void Session::reset()
{
    ArrayResize(batch_, 0);
    ArrayResize(waiting_, 0);
    ArrayResize(resent_, 0);
    state_ = STATE_CLOSED;
    sync_done_due_ = false;
    ArrayResize(negatives_, 0);
    sent_event_ = 0;
    info_event_ = 0;
    info_ms_ = 0;
    info_equity_ = 0;
    info_balance_ = 0;
    info_free_margin_ = 0;
    info_permissions_ = 0;
    g_link.begin_anew();
    settled_ = false;
    last_up_ms_ = now_ms();
    sessions_ = 0;
}

void Session::drop(const string why)
{
    if (state_ == STATE_UP)
        PrintFormat("millrace: connection closed: %s", why);
    g_link.close();
    ArrayResize(batch_, 0);
    sync_done_due_ = false;
    state_ = STATE_CLOSED;
}

// -- handshake -----------------------------------------------------------------------------------

void Session::on_challenge()
{
    uchar hello[HELLO_BYTES];
    uchar mac[];
    ArrayInitialize(hello, 0);
    put_u64(hello, 0, g_config.login);
    put_u64(hello, 8, g_journal.id);
    put_u64(hello, 16, g_journal.command_seq);
    put_u64(hello, 24, g_journal.command_epoch);
    put_u64(hello, 32, g_journal.generation);
    put_u64(hello, 40, g_journal.epoch);
    put_u64(hello, 48, g_journal.event_seq);
    put_u32(hello, 56, (uint)TerminalInfoInteger(TERMINAL_BUILD));
    put_u8(hello, 60, g_account.is_hedging() ? 0 : 1);
    put_u8(hello, 61, (g_account.is_allowed() ? HELLO_MAY_TRADE : 0) |
                          (g_journal.is_suspect() ? HELLO_SUSPECT : 0));
    bool can = draw_nonce(g_link.body, g_journal.id ^ ((ulong)MathRand() << 48), nonce_);
    for (int i = 0; i < NONCE_BYTES; i++)
        hello[HELLO_NONCE_AT + i] = nonce_[i];
    if (!can || !sign_after(g_link.body, hello, HELLO_SIGNED_BYTES, mac))
    {
        drop("the terminal cannot compute SHA-256");
        return;
    }
    for (int i = 0; i < MAC_BYTES; i++)
        hello[HELLO_SIGNED_BYTES + i] = mac[i];
    g_link.send(FRAME_HELLO, 0, hello, HELLO_BYTES);
    state_ = STATE_GREETING;
}

/// Is this WELCOME of somebody who has the key, in answer to our HELLO, and can its numbers be? A
/// tag of 0 would make every order ours, and a generation without bound would fence us for ever.
bool Session::is_genuine()
{
    return is_signed_after(nonce_, g_link.body, WELCOME_SIGNED_BYTES) &&
           get_u64(g_link.body, 0) <= NUMBER_MAX && get_u64(g_link.body, 32) <= NUMBER_MAX &&
           get_u64(g_link.body, 40) != 0;
}

bool Session::on_welcome()
{
    if (!is_genuine())
    {
        PrintFormat("millrace: a WELCOME that is not of our key: a stranger listens at this port");
        g_link.retry_late();
        drop("a WELCOME of a stranger");
        return false;
    }
    ulong generation = get_u64(g_link.body, 0);
    ulong epoch = get_u64(g_link.body, 8);
    ulong command_epoch = get_u64(g_link.body, 16);
    ulong next_command = get_u64(g_link.body, 24);
    ulong event_seq = get_u64(g_link.body, 32);
    // The upper half names the directory that the other side journals in. Order ids begin anew in
    // another one; what is journalled here under a magic must not answer for a new order.
    if (g_journal.epoch != 0 && (epoch >> 32) != (g_journal.epoch >> 32))
    {
        PrintFormat("millrace: the other side has another journal directory than this terminal has "
                    "served; move the intent journal away if that is meant (README)");
        g_link.retry_late();
        drop("fenced: the other side has another journal directory");
        return false;
    }
    if (generation < g_journal.generation || epoch < g_journal.epoch)
    {
        drop("fenced: the other side is an older owner of this session");
        return false;
    }
    // Numbers that the peer knows and we do not: this journal replaced a lost one, or is an older
    // state of itself (a restored folder). Whatever it vouched for before, it does no more.
    // A suspect one: the server has been told by HELLO; what it may have had does not come again.
    if (event_seq > g_journal.event_seq || g_journal.is_suspect())
        g_journal.remember_intact(INTACT_NO, g_journal.floor_intent);
    if (command_epoch != g_journal.command_epoch)
        g_journal.command_seq = next_command - 1;  // numbers of another queue
    g_journal.generation = generation;
    g_journal.epoch = epoch;
    g_journal.command_epoch = command_epoch;
    g_journal.magic_tag = get_u64(g_link.body, 40);
    g_journal.remember_session();
    if (event_seq > g_journal.event_seq)
        g_journal.renumber_above(event_seq);
    g_journal.acknowledged(event_seq);
    state_ = STATE_UP;
    sessions_++;
    g_link.welcomed();
    sent_event_ = event_seq;
    sync_done_due_ = true;
    info_ms_ = 0;
    g_facts.update(sessions_);
    return true;
}

void Session::on_denied()
{
    string reason = get_text(g_link.body, 0, DENIED_BYTES);
    PrintFormat("millrace: denied: %s", reason);
    g_link.retry_late();
    drop("denied");
    // Two terminals with one journal would take the session from each other all day.
    if (StringFind(reason, "replaced") == 0)
        g_link.stay_away();
    if (StringFind(reason, "wrong MAC") == 0)
        g_link.refused();
}

// -- frames --------------------------------------------------------------------------------------

/// @return false if the connection is gone.
bool Session::on_frame()
{
    bool up = state_ == STATE_UP;
    int bytes = g_link.body_bytes;
    switch (g_link.frame_type)
    {
        case FRAME_CHALLENGE:
            if (bytes != CHALLENGE_BYTES || state_ != STATE_CHALLENGED)
                break;
            on_challenge();
            return g_link.is_open();
        case FRAME_WELCOME:
            if (bytes != WELCOME_BYTES || state_ != STATE_GREETING)
                break;
            return on_welcome();
        case FRAME_DENIED:
            if (bytes != DENIED_BYTES)
                break;
            on_denied();
            return false;
        case FRAME_COMMAND:
        {
            if (bytes != COMMAND_BYTES || !up)
                break;
            int n = ArraySize(batch_);
            ArrayResize(batch_, n + 1, 64);
            batch_[n].seq = g_link.frame_seq;
            batch_[n].received_ms = MathMax(1, g_link.arrived_after_ms);
            get_command(g_link.body, 0, batch_[n].command);
            g_specs.watch(batch_[n].command.symbol);
            return true;
        }
        case FRAME_KILL:  // acts now, before the commands that came with it
        {
            if (bytes != KILL_BYTES || !up)
                break;
            Kill kill;
            get_kill(g_link.body, 0, kill);
            g_kill_switch.on_kill(kill);
            return g_link.is_open();
        }
        case FRAME_EVENT_ACK:
            if (bytes != 8 || !up)
                break;
            g_journal.acknowledged(MathMin(get_u64(g_link.body, 0), g_journal.event_seq));
            return true;
        case FRAME_HEARTBEAT:
            if (bytes != 8)
                break;
            return true;
    }
    drop("a frame out of place, or of the wrong size");
    return false;
}

/// Reads what has arrived; kills act at once. @return false if the connection is gone.
bool Session::take_frames()
{
    if (!g_link.is_open())
        return false;
    bool alive = g_link.read();
    int what = g_link.next();
    while (what == FRAME_READY)
    {
        if (!on_frame())
            return false;
        what = g_link.next();
    }
    if (what == FRAME_BROKEN || !alive)
    {
        drop(alive ? "the stream is broken" : "the other side is gone");
        return false;
    }
    return true;
}
