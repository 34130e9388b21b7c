// Millrace's Expert Advisor: executes the commands of the broker stage on the account that its
// terminal is logged in to, each at most once, and tells what became of them. The protocol is
// gateway/BRIDGE.md, the installation README.md beside this file. One chart of one terminal per
// account.
#property copyright "Millrace"
#property link ""
#property version "1.00"
#property description "Executes Millrace's commands on this account. Attach to one chart only."

#include "Outgoing.mqh"

input string InpHost = "127.0.0.1";                // broker stage: address (must be allowed)
input int InpPort = 7100;                          // broker stage: port
input string InpBackupHost = "";                   // its second address; empty = there is none
input int InpBackupPort = 7100;                    // and the port there
input string InpKey = "";                          // key of this account, hexadecimal
input ulong InpLogin = 0;                          // account this chart may trade
input string InpServer = "";                       // and its trade server; empty = as logged in
input bool InpAsync = false;                       // send without waiting for each answer
input bool InpCommonFolder = true;                 // intent journal in the folder of all terminals
input int InpReadyMs = 5000;                       // unbroken connection before lists are believed
input int InpSettleMs = 60000;                     // without a trace this long = never executed
input int InpAnswerMs = 30000;                     // no answer by then = not known
input int InpDeadManSeconds = 30;                  // no engine for so long: the action below
input DeadManAction InpDeadManAction = DEAD_MAN_NONE;
input int InpFifoWaitMs = 2000;                    // FIFO accounts: for closes of older positions
input int InpStopsMs = 5000;                       // between looks at open positions' stops
input StopsAction InpStopsAction = STOPS_TELL;     // of a position whose stops cannot be set
input string InpTickSymbols = "";                  // quotes to send, comma separated
input string InpTickHost = "";                     // every tick of them to here; empty = as InpHost
input int InpTickPort = 0;                         // port of millrace-ticks; 0 = no ticks
input int InpTickRetryMs = 2000;                   // between attempts to connect there
input TickHistory InpTickHistory = TICK_HISTORY_FLAT;
input int InpHoldingsSeconds = 60;                 // between tellings of positions; 0 = never
input int InpRefusedMs = 60000;                    // after a refused key; doubles, five times
input int InpTimerMs = 10;                         // how often the connection is looked at

#define READ_LOOP_US 5000
#define LOGIN_LOOK_MS 1000

bool g_running = false;
bool g_waiting = false;  // for the terminal to be logged in to an account
ulong g_looked_ms = 0;
string g_tick_names[];
double g_tick_bids[];
double g_tick_asks[];
ulong g_tick_session = 0;

/// What has changed since it was last sent; all of it to a new session.
void send_ticks()
{
    if (!g_session.is_up())
        return;
    bool all = g_tick_session != g_session.sessions();
    g_tick_session = g_session.sessions();
    if (all)
    {
        ArrayInitialize(g_tick_bids, 0);
        ArrayInitialize(g_tick_asks, 0);
    }
    for (int i = 0; i < ArraySize(g_tick_names); i++)
    {
        double bid;
        double ask;
        if (!read_quote(g_tick_names[i], bid, ask) ||
            (bid == g_tick_bids[i] && ask == g_tick_asks[i]) ||
            !g_session.send_tick(g_tick_names[i], bid, ask))
            continue;
        g_tick_bids[i] = bid;
        g_tick_asks[i] = ask;
    }
}

void read_tick_names()
{
    int n = StringSplit(g_config.tick_symbols, ',', g_tick_names);
    if (n < 0)
        n = 0;
    ArrayResize(g_tick_names, n);
    ArrayResize(g_tick_bids, n);
    ArrayResize(g_tick_asks, n);
    for (int i = 0; i < n; i++)
    {
        StringTrimLeft(g_tick_names[i]);
        StringTrimRight(g_tick_names[i]);
        g_tick_bids[i] = 0;
        g_tick_asks[i] = 0;
        if (!watch_symbol(g_tick_names[i]))
            PrintFormat("millrace: the broker has no symbol %s", g_tick_names[i]);
        g_specs.watch(g_tick_names[i]);
        g_ticks.watch(g_tick_names[i]);
    }
}

/// Why the program cannot start, for a human; "" = it can.
string configure()
{
    g_config.host = InpHost;
    g_config.port = InpPort;
    g_config.backup_host = InpBackupHost;
    g_config.backup_port = InpBackupPort;
    g_config.refused_ms = InpRefusedMs;
    g_config.async = InpAsync;
    g_config.common = InpCommonFolder;
    g_config.ready_ms = InpReadyMs;
    g_config.settle_ms = InpSettleMs;
    g_config.answer_ms = InpAnswerMs;
    g_config.dead_man_s = InpDeadManSeconds;
    g_config.dead_man_action = (int)InpDeadManAction;
    g_config.fifo_wait_ms = InpFifoWaitMs;
    g_config.stops_ms = InpStopsMs;
    g_config.stops_action = (int)InpStopsAction;
    g_config.tick_symbols = InpTickSymbols;
    g_config.tick_host = InpTickHost;
    g_config.tick_port = InpTickPort;
    g_config.tick_retry_ms = InpTickRetryMs;
    g_config.tick_history = (int)InpTickHistory;
    g_config.holdings_s = InpHoldingsSeconds;
    if (!key_of_hex(InpKey, g_config.key))
        return "InpKey must be the account's key: 2 to 128 hexadecimal digits";
    if (InpLogin == 0)
        return "InpLogin must be the account that this chart may trade";
    if (InpPort < 1 || InpPort > 65535)
        return "InpPort must be 1 to 65535";
    if (InpBackupHost != "" && (InpBackupPort < 1 || InpBackupPort > 65535))
        return "InpBackupPort must be 1 to 65535";
    if (InpBackupHost == InpHost && InpBackupPort == InpPort)
        return "InpBackupHost and InpBackupPort are the first address again: give another, or none";
    if (InpTickPort < 0 || InpTickPort > 65535)
        return "InpTickPort must be 0 (no ticks) to 65535";
    if (InpTickPort > 0 && InpTickSymbols == "")
        return "InpTickPort without InpTickSymbols: name the symbols whose ticks are streamed";
    if (InpStopsMs < 0 || InpFifoWaitMs < 0)
        return "InpStopsMs (0: stops are looked at after the fill only) and InpFifoWaitMs must not "
               "be below 0";
    if (InpHoldingsSeconds < 0)
        return "InpHoldingsSeconds must be 0 (never) or above";
    if (InpTickRetryMs < 1)
        return "InpTickRetryMs must be above 0";
    if (InpTimerMs < 1 || InpReadyMs < 0 || InpSettleMs < 0 || InpAnswerMs < 1 || InpRefusedMs < 1)
        return "InpTimerMs, InpAnswerMs and InpRefusedMs must be above 0, InpReadyMs and InpSettleMs "
               "not below";
    return "";
}

/// Begins to serve the account that the terminal is logged in to. @return why it cannot, for a
/// human; "" = it does.
string begin()
{
    g_config.login = (ulong)AccountInfoInteger(ACCOUNT_LOGIN);
    g_config.server = AccountInfoString(ACCOUNT_SERVER);
    if (InpServer != "" && InpServer != g_config.server)
        return StringFormat("the terminal is logged in at %s, this chart is set up for %s",
                            g_config.server, InpServer);
    if (InpLogin != g_config.login)
        return StringFormat("the terminal is logged in to %s, this chart is set up for %s",
                            IntegerToString((long)g_config.login), IntegerToString((long)InpLogin));
    string wrong = g_journal.open("Millrace\\" + IntegerToString((long)g_config.login) + "@" +
                                  IntegerToString((long)text_crc(g_config.server)));
    if (wrong != "")
        return wrong;
    g_account.reset();  // globals keep their values over a change of the chart
    g_executor.reset();
    g_stops.reset();
    g_stop_watch.reset();
    g_scanner.reset();
    g_kill_switch.reset();
    g_facts.reset();
    g_specs.reset();
    g_holdings.reset();
    g_ticks.stop();
    g_ticks.reset();
    g_session.reset();
    g_session.take_over();
    read_tick_names();
    g_running = true;
    return "";
}

/// A terminal runs its programs before it is logged in; one that failed then would not be called
/// again. So it waits.
int OnInit()
{
    string wrong = configure();
    g_waiting = wrong == "" && !g_account.is_known();
    if (g_waiting)
        PrintFormat("millrace: waits until %s is logged in", IntegerToString((long)InpLogin));
    else if (wrong == "")
        wrong = begin();
    if (wrong == "" && !EventSetMillisecondTimer(InpTimerMs))
        wrong = "no timer";
    if (wrong == "")
        return INIT_SUCCEEDED;
    Alert("millrace: ", wrong);
    g_journal.close();
    g_waiting = false;
    g_running = false;
    return INIT_FAILED;
}

void wait_for_login()
{
    if (!g_waiting || now_ms() < g_looked_ms + LOGIN_LOOK_MS)
        return;
    g_looked_ms = now_ms();
    if (!g_account.is_known())
        return;
    g_waiting = false;
    string wrong = begin();
    if (wrong == "")
        return;
    Alert("millrace: ", wrong, ": stopped");
    g_journal.close();
    ExpertRemove();
}

/// Called for a change of the chart, the inputs or the program, not when the terminal dies: nothing
/// that matters waits for it.
void OnDeinit(const int reason)
{
    EventKillTimer();
    g_waiting = false;
    if (g_running)
        g_session.stop();
    g_ticks.stop();
    g_journal.close();
    g_running = false;
}

void run_once()
{
    if (!g_running)
        return;
    send_ticks();
    g_session.update();
    if (!g_journal.failed())
        return;
    // Without its journal it cannot promise anything: better silent than doubling orders.
    Alert("millrace: the intent journal cannot be written: stopped. Free space, then attach again");
    g_running = false;
    g_session.stop();
    g_ticks.stop();
    ExpertRemove();
}

/// After the commands, never between two of them.
void stream_ticks()
{
    if (g_running)
        g_ticks.update();
}

void OnTimer()
{
    // A few rounds a timer event: the timer is no finer than some 10 ms. Not longer, because trade
    // events of the terminal wait meanwhile.
    wait_for_login();
    ulong since = GetMicrosecondCount();
    do
    {
        run_once();
    } while (g_running && g_executor.in_flight() > 0 && !IsStopped() &&
             GetMicrosecondCount() - since < READ_LOOP_US);
    stream_ticks();
}

void OnTick()
{
    run_once();
    stream_ticks();
}

/// A hint to look now. Only the answers to requests sent off are read from it.
void OnTradeTransaction(const MqlTradeTransaction &transaction, const MqlTradeRequest &request,
                        const MqlTradeResult &result)
{
    if (!g_running)
        return;
    if (transaction.type == TRADE_TRANSACTION_REQUEST)
        g_executor.on_result(request, result);
    g_scanner.hint();
}
