// The intent journal: commands received with what became of them, events not yet acknowledged, and
// what a session must remember for ever (gateway/BRIDGE.md). It survives restarts of the terminal,
// of the chart and of this program.
//
// Two files, of which one is in use. A rewrite goes to the other one and ends with COMPLETE; the
// file with the highest number that has it is the journal. A third file, held open, is the lock:
// without a share flag the terminal lets nobody else open it, so that two charts or two terminals
// cannot both act for one account.

#include "Config.mqh"
#include "JournalFile.mqh"
#include "TicketSet.mqh"

#define INTENTS_MAX 10000
#define COMPACT_ABOVE_BYTES 8388608
// Tickets that one record lists.
#define DEALS_LISTED_MAX 40

#define INTENT_RECEIVED 1  // journalled, not sent: sending it is safe
#define INTENT_SENDING 2   // the trade server may have seen it
#define INTENT_ANSWERED 3  // `answer` says what became of it

#define REC_IDENTITY 1
#define REC_SESSION 2
#define REC_RECEIVED 3
#define REC_SENDING 4
#define REC_EVENT 5
#define REC_EVENT_ACK 6
#define REC_RENUMBER 7
#define REC_KILL 8
#define REC_INTACT 9
#define REC_COMMAND_SEQ 10
#define REC_INTENT 11
#define REC_COUNTERS 12
#define REC_DEAL 13
#define REC_ORDER 14
#define REC_COMPLETE 15
#define REC_SCANNED 16
#define REC_BASELINE 17
#define REC_CONFIRMED 18
#define REC_BOOT 19   // when the computer was started
#define REC_CLEAN 20  // the program ended in order
#define REC_STOPS_OVER 21

// By so much may the computed start of one computer run differ between two readings: whole seconds
// of the wall clock, and its being set between them.
#define BOOT_SLACK_S 10

#define INTACT_NO 0     // it replaced a lost one
#define INTACT_YES 1
#define INTACT_FRESH 2    // just made; the account will tell whether there was one before
#define INTACT_SUSPECT 3  // as NO, and the server has not been told yet

struct Intent
{
    ulong seq;
    long received_ns;  // wall clock; the ttl of a restarted program runs from here
    ulong received_ms; // of this run; 0 = before it
    ulong answered_ms; // of this run; 0 = before it
    Command command;
    int state;
    bool is_confirmed;  // the server said that it executed it
    ulong order;        // tickets that it named; 0 = none
    ulong deal;
    bool stops_over;    // its position has been seen with its stops, or is another's matter now
    Event answer;
};

/// Age of a command in ms. Over a restart by the wall clock, which counts whole seconds: rounded
/// up, so that a command may expire early but never late.
ulong age_ms(const Intent &intent)
{
    if (intent.received_ms != 0)
        return now_ms() - intent.received_ms;
    long age = (wall_ns() - intent.received_ns) / 1000000 + 1000;
    return (age > 0) ? (ulong)age : 0;
}

struct StoredEvent
{
    ulong seq;
    Event event;
};

class Journal
{
private:
    JournalFile file_;
    int lock_;
    string base_;
    ulong file_number_;
    Intent intents_[];
    ulong magics_[];  // of intents_, for the search
    int count_;
    StoredEvent events_[];
    int events_begin_;
    int events_end_;
    Kill kills_[];
    bool found_complete_;
    bool found_clean_;  // it is the last record
    int torn_bytes_;
    long boot_s_;  // of the computer, as the journal last recorded it; 0 = never

    string file_name(const ulong number) { return base_ + ((number % 2 == 1) ? ".a" : ".b"); }

    void reset()
    {
        count_ = 0;
        events_begin_ = 0;
        events_end_ = 0;
        ArrayResize(kills_, 0);
        deals.clear();
        orders.clear();
        id = 0;
        created_ns = 0;
        generation = 0;
        epoch = 0;
        command_epoch = 0;
        command_seq = 0;
        magic_tag = 0;
        event_seq = 0;
        intact = INTACT_FRESH;
        floor_intent = 0;
        has_baseline = false;
        scanned_s = 0;
        found_clean_ = false;
        boot_s_ = 0;
    }

    void keep_intent(const Intent &intent);
    void keep_event(const ulong seq, const ulong answers, const Event &event);
    void keep_kill(const Kill &kill);
    void forget_old_intents();
    void forget_events(const ulong seq);
    void renumber(const ulong base);
    string replay(const int kind, const uchar &b[], const int at, const int bytes);
    string load(const uchar &bytes[]);
    string write_state(const ulong number);
    void write_number(const int kind, const ulong number);
    void write_session();
    void write_boot();
    void write_intact();
    bool may_have_lost_records();
    void write_confirmed(const Intent &intent);
    void write_intent(const int kind, const Intent &intent);
    void write_event(const ulong seq, const ulong answers, const Event &event,
                     const ulong &others[]);

public:
    ulong id;
    long created_ns;
    ulong generation;     // highest seen
    ulong epoch;          // highest seen
    ulong command_epoch;  // the queue that command_seq counts in
    ulong command_seq;    // last command journalled
    ulong magic_tag;      // of the last WELCOME
    ulong event_seq;      // last number handed out
    int intact;           // INTACT_*; YES vouches for every intent above floor_intent
    ulong floor_intent;   // also the highest asked about since a loss
    bool has_baseline;    // deals and orders older than the journal have been set aside
    long scanned_s;       // server time up to which the account's history has been gone through
    TicketSet deals;      // told, or not ours to tell
    TicketSet orders;     // pendings whose end has been told

    Journal()
    {
        lock_ = INVALID_HANDLE;
        count_ = 0;
        events_begin_ = 0;
        events_end_ = 0;
        file_number_ = 0;
    }

    string open(const string base);
    void close();
    bool flush() { return file_.flush(); }
    bool failed() { return file_.failed(); }
    string compact();
    bool wants_compaction() { return file_.size() > 4 * (ulong)COMPACT_ABOVE_BYTES; }

    int count() { return count_; }
    int find(const ulong magic);
    void intent_at(const int i, Intent &out) { out = intents_[i]; }
    int state_at(const int i) { return intents_[i].state; }
    ulong magic_at(const int i) { return magics_[i]; }
    bool stops_over_at(const int i) { return intents_[i].stops_over; }
    bool changes(const ulong position, const int since);

    int kill_count() { return ArraySize(kills_); }
    void kill_at(const int i, Kill &out) { out = kills_[i]; }
    bool knows_kill(const Kill &kill);
    bool stops(const string symbol);

    int waiting_events() { return events_end_ - events_begin_; }
    ulong first_waiting() { return (waiting_events() > 0) ? events_[events_begin_].seq : 0; }
    void waiting_event(const ulong seq, Event &out)
    {
        out = events_[events_begin_ + (int)(seq - events_[events_begin_].seq)].event;
    }

    void remember_session();
    bool vouches_for(const ulong intent) { return intact == INTACT_YES && intent > floor_intent; }
    bool is_suspect() { return intact == INTACT_SUSPECT; }
    void remember_kill(const Kill &kill);
    void remember_intact(const int how, const ulong from);
    void remember_baseline(const ulong deal, const ulong order, const long server_s);
    void remember_scanned(const long server_s);
    void remember_deal(const ulong ticket);
    void remember_deals(const ulong &tickets[]);
    void remember_order(const ulong ticket);
    void received_without_intent(const ulong seq);
    void received(const Intent &intent);
    void sending(const ulong magic);
    void confirmed(const ulong magic, const bool is_done, const ulong order, const ulong deal);
    void remember_stops_over(const ulong magic);
    void add_event(const Event &event, const ulong answers, const ulong &others[]);
    void add_event(const Event &event, const ulong answers);
    void acknowledged(const ulong seq);
    void renumber_above(const ulong base);
};

int Journal::find(const ulong magic)
{
    for (int i = count_ - 1; i >= 0; i--)  // newest first: mostly asked for
        if (magics_[i] == magic)
            return i;
    return -1;
}

bool Journal::knows_kill(const Kill &kill)
{
    for (int i = 0; i < ArraySize(kills_); i++)
        if (kills_[i].symbol == kill.symbol && kills_[i].kill_id == kill.kill_id)
            return true;
    return false;
}

bool Journal::stops(const string symbol)
{
    for (int i = 0; i < ArraySize(kills_); i++)
        if ((kills_[i].actions & KILL_STOP) != 0 &&
            (kills_[i].symbol == "" || kills_[i].symbol == symbol))
            return true;
    return false;
}

/// Has the engine given a command for this position after the one at `since`?
bool Journal::changes(const ulong position, const int since)
{
    for (int i = since + 1; i < count_; i++)
        if (intents_[i].command.position_ticket == position &&
            (intents_[i].command.type == COMMAND_MODIFY ||
             intents_[i].command.type == COMMAND_CLOSE))
            return true;
    return false;
}

// -- memory --------------------------------------------------------------------------------------

void Journal::keep_intent(const Intent &intent)
{
    int i = find(intent.command.magic);
    if (i >= 0)
    {
        intents_[i] = intent;
        return;
    }
    if (count_ >= INTENTS_MAX + 1000)
        forget_old_intents();
    if (ArraySize(intents_) <= count_)
    {
        ArrayResize(intents_, count_ + 1, 256);
        ArrayResize(magics_, count_ + 1, 256);
    }
    intents_[count_] = intent;
    magics_[count_] = intent.command.magic;
    count_++;
}

/// Drops the oldest answered ones, a thousand at a time. What is forgotten cannot be vouched for.
void Journal::forget_old_intents()
{
    int kept = 0;
    int excess = count_ - INTENTS_MAX;
    for (int i = 0; i < count_; i++)
    {
        if (excess > 0 && intents_[i].state == INTENT_ANSWERED)
        {
            excess--;
            if (magic_intent(magics_[i]) > floor_intent)
                floor_intent = magic_intent(magics_[i]);
            continue;
        }
        if (kept != i)
        {
            intents_[kept] = intents_[i];
            magics_[kept] = magics_[i];
        }
        kept++;
    }
    count_ = kept;
}

void Journal::keep_event(const ulong seq, const ulong answers, const Event &event)
{
    event_seq = seq;
    if (events_begin_ > 1024 && events_begin_ * 2 > events_end_)
    {
        for (int i = events_begin_; i < events_end_; i++)
            events_[i - events_begin_] = events_[i];
        events_end_ -= events_begin_;
        events_begin_ = 0;
    }
    if (ArraySize(events_) <= events_end_)
        ArrayResize(events_, events_end_ + 1, 256);
    events_[events_end_].seq = seq;
    events_[events_end_].event = event;
    events_end_++;
    deals.add(event.deal_ticket);
    if (event.type == EVENT_EXEC && event.exec_kind == EXEC_PENDING_CANCELED)
        orders.add(event.order_ticket);
    int i = (answers != 0) ? find(answers) : -1;
    if (i < 0)
        return;
    intents_[i].state = INTENT_ANSWERED;
    intents_[i].answer = event;
    if (intents_[i].command.type == COMMAND_CANCEL && event.ord_status == STATUS_FILLED)
        orders.add(intents_[i].command.order_ticket);
}

void Journal::keep_kill(const Kill &kill)
{
    int n = ArraySize(kills_);
    for (int i = 0; i < n; i++)
    {
        if (kills_[i].symbol == kill.symbol)
        {
            kills_[i] = kill;
            return;
        }
    }
    ArrayResize(kills_, n + 1);
    kills_[n] = kill;
}

void Journal::forget_events(const ulong seq)
{
    while (events_begin_ < events_end_ && events_[events_begin_].seq <= seq)
        events_begin_++;
}

void Journal::renumber(const ulong base)
{
    event_seq = base;
    for (int i = events_begin_; i < events_end_; i++)
    {
        event_seq++;
        events_[i].seq = event_seq;
    }
}

// -- what happens: written, then kept ------------------------------------------------------------

void Journal::remember_kill(const Kill &kill)
{
    uchar b[KILL_BYTES];
    put_kill(b, 0, kill);
    file_.append(REC_KILL, b, KILL_BYTES);
    keep_kill(kill);
}

void Journal::remember_intact(const int how, const ulong from)
{
    intact = how;
    floor_intent = from;
    write_intact();
}

void Journal::remember_session()
{
    write_session();
    write_boot();  // the wall clock drifts against the computer's own: recorded often
}

void Journal::remember_baseline(const ulong deal, const ulong order, const long server_s)
{
    has_baseline = true;
    deals.raise_floor(deal);
    orders.raise_floor(order);
    scanned_s = server_s;
    uchar b[24];
    put_u64(b, 0, deals.floor_ticket());
    put_u64(b, 8, orders.floor_ticket());
    put_i64(b, 16, scanned_s);
    file_.append(REC_BASELINE, b, 24);
}

void Journal::remember_scanned(const long server_s)
{
    scanned_s = server_s;
    write_number(REC_SCANNED, (ulong)server_s);
}

void Journal::remember_deal(const ulong ticket)
{
    deals.add(ticket);
    write_number(REC_DEAL, ticket);
}

void Journal::remember_order(const ulong ticket)
{
    orders.add(ticket);
    write_number(REC_ORDER, ticket);
}

/// A command of the session's sequence that makes no intent: a query, a repeat, a stale one.
void Journal::received_without_intent(const ulong seq)
{
    command_seq = seq;
    write_number(REC_COMMAND_SEQ, seq);
}

void Journal::received(const Intent &intent)
{
    write_intent(REC_RECEIVED, intent);
    keep_intent(intent);
    command_seq = intent.seq;
}

void Journal::sending(const ulong magic)
{
    int i = find(magic);
    if (i >= 0)
        intents_[i].state = INTENT_SENDING;
    write_number(REC_SENDING, magic);
}

/// What the server itself said about a request. It stays when the account does not show it in time.
/// @param is_done it said that it was executed. @param order, deal tickets it named; 0 = none.
void Journal::confirmed(const ulong magic, const bool is_done, const ulong order, const ulong deal)
{
    int i = find(magic);
    if (i < 0)
        return;
    intents_[i].is_confirmed = is_done;
    intents_[i].order = order;
    intents_[i].deal = deal;
    write_confirmed(intents_[i]);
}

/// Nobody has to look after the stops that this order asked for any more.
void Journal::remember_stops_over(const ulong magic)
{
    int i = find(magic);
    if (i < 0 || intents_[i].stops_over)
        return;
    intents_[i].stops_over = true;
    write_number(REC_STOPS_OVER, magic);
}

void Journal::add_event(const Event &event, const ulong answers)
{
    ulong none[];
    add_event(event, answers, none);
}

/// Appends an event with the next number. @param answers magic that it answers for good; 0 = none.
/// @param others deals that it tells of besides its own: a flush that a death has torn keeps them
/// and the event, or neither.
void Journal::add_event(const Event &event, const ulong answers, const ulong &others[])
{
    write_event(event_seq + 1, answers, event, others);
    keep_event(event_seq + 1, answers, event);
    for (int k = 0; k < ArraySize(others); k++)
        remember_deal(others[k]);
    int i = (answers != 0) ? find(answers) : -1;
    if (i >= 0)
        intents_[i].answered_ms = now_ms();
}

void Journal::acknowledged(const ulong seq)
{
    if (waiting_events() == 0 || first_waiting() > seq)
        return;
    write_number(REC_EVENT_ACK, seq);
    forget_events(seq);
}

/// The peer has seen numbers of a lost journal up to `base`: events are numbered above it.
void Journal::renumber_above(const ulong base)
{
    write_number(REC_RENUMBER, base);
    renumber(base);
}
