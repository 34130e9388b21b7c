// What the operator sets, in one structure, so that nothing below the main file reads an input.

enum DeadManAction
{
    DEAD_MAN_NONE = 0,     // nothing: positions keep their stops
    DEAD_MAN_CANCEL = 2,   // cancel our pending orders
    DEAD_MAN_FLATTEN = 6   // cancel our pending orders and close our positions
};

// What becomes of a position whose stops cannot be set.
enum StopsAction
{
    STOPS_TELL = 0,
    STOPS_CLOSE = 1  // it is closed, what is ours of it
};

// The terminal reads its history of ticks in a call that may block everything else.
enum TickHistory
{
    TICK_HISTORY_NEVER = 0,
    TICK_HISTORY_FLAT = 1,   // while the account has no position and no order
    TICK_HISTORY_ALWAYS = 2
};

struct Config
{
    string host;
    int port;
    string backup_host;   // second address of the broker stage; "" = there is none
    int backup_port;
    int refused_ms;       // after a refused key; doubles with each
    uchar key[];
    ulong login;
    string server;        // the broker's name of it; logins are unique only there
    bool async;           // OrderSendAsync
    bool common;          // intent journal in the folder that all terminals share
    int ready_ms;         // unbroken connection before the account's lists are believed
    int settle_ms;        // without a trace for so long, an unanswered request counts as absent
    int answer_ms;        // an answer that has not come by then is "not known"
    int dead_man_s;       // 0 = never
    int dead_man_action;  // DeadManAction
    int fifo_wait_ms;     // a close waits for the older positions of its symbol; see Permits.mqh
    int stops_ms;         // between looks at the stops of open positions; 0 = none
    int stops_action;     // StopsAction
    string tick_symbols;  // comma separated
    string tick_host;     // of millrace-ticks; "" = as the broker stage
    int tick_port;        // 0 = ticks are not streamed
    int tick_retry_ms;    // between attempts to connect there
    int tick_history;     // TickHistory
    int holdings_s;       // between two tellings of positions and orders; 0 = never
};

Config g_config;

/// Time since the program was started, ms. Not a wall clock: nobody can set it back.
ulong now_ms() { return GetMicrosecondCount() / 1000; }

/// The computer's wall clock in ns since 1970 UTC, to the second.
long wall_ns() { return (long)TimeGMT() * 1000000000; }

/// Server time minus UTC in seconds, to the quarter of an hour (zone and daylight saving).
long server_offset_s()
{
    double quarters = MathRound((double)((long)TimeTradeServer() - (long)TimeGMT()) / 900.0);
    return (long)quarters * 900;
}
