import static io.airlift.units.DataSize.Unit.GIGABYTE;
import static io.trino.testing.TestingSession.testSessionBuilder;
import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.airlift.units.DataSize;
import io.trino.Session;
import io.trino.operator.Driver;
import io.trino.operator.OutputFactory;
import io.trino.operator.TaskContext;
import io.trino.plugin.memory.MemoryConnectorFactory;
import io.trino.plugin.tpch.TpchConnectorFactory;
import io.trino.spi.StandardErrorCode;
import io.trino.spi.TrinoException;
import io.trino.spi.type.SqlDecimal;
import io.trino.spi.type.SqlTime;
import io.trino.spi.type.SqlTimestamp;
import io.trino.spi.type.SqlTimestampWithTimeZone;
import io.trino.spi.type.SqlVarbinary;
import io.trino.spi.type.TimeZoneKey;
import io.trino.sql.parser.ParsingException;
import io.trino.testing.LocalQueryRunner;
import io.trino.testing.MaterializedResult;
import io.trino.testing.PageConsumerOperator.PageConsumerOutputFactory;
import io.trino.testing.TestingTaskContext;
import io.trino.tpch.TpchEntity;
import io.trino.tpch.TpchTable;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetTime;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TimeZone;
import java.util.concurrent.atomic.AtomicReference;

/**
 * A Trino in this process. With "CATALOG SCHEMA": reads a statement in each line of its input, as a JSON string, and
 * answers each with a line of JSON: {"types": [...], "rows": [[...], ...]} or {"error": "NAME: message"}.
 * With "write SCALE FOLDER": writes the tables of TPC-H as dbgen's text.
 *
 * A value is JSON's if its kind can be seen from it (boolean, whole number, text, number with a fraction, list), else
 * an object with one key: d decimal, r real, f NaN and infinity, b bytes in hexadecimal digits, t time, m the pairs of a map.
 */
public final class Trino
{
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final DateTimeFormatter MILLISECONDS = timeWith("SSS");
    private static final DateTimeFormatter NANOSECONDS = timeWith("SSSSSSSSS");

    private static final DateTimeFormatter CLOCK = DateTimeFormatter.ofPattern("HH:mm:ss.SSSSSSSSS", Locale.ROOT);
    private static final DateTimeFormatter CLOCK_WITH_OFFSET = DateTimeFormatter.ofPattern("HH:mm:ss.SSSSSSSSSxxx", Locale.ROOT);

    private Trino() {}

    public static void main(String[] arguments)
            throws Exception
    {
        PrintStream answers = new PrintStream(System.out, true, UTF_8);
        System.setOut(System.err); // what libraries print is no answer
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        Locale.setDefault(Locale.US);
        if (arguments[0].equals("write")) {
            writeTables(Double.parseDouble(arguments[1]), Path.of(arguments[2]));
            return;
        }
        Session session = testSessionBuilder()
                .setCatalog(arguments[0])
                .setSchema(arguments[1])
                .setTimeZoneKey(TimeZoneKey.UTC_KEY)
                .setLocale(Locale.US)
                .build();
        try (LocalQueryRunner trino = LocalQueryRunner.create(session)) {
            trino.createCatalog("memory", new MemoryConnectorFactory(), Map.of());
            trino.createCatalog("tpch", new TpchConnectorFactory(), Map.of(
                    "tpch.column-naming", "STANDARD",
                    "tpch.double-type-mapping", "DECIMAL"));
            BufferedReader statements = new BufferedReader(new InputStreamReader(System.in, UTF_8));
            for (String line = statements.readLine(); line != null; line = statements.readLine()) {
                answers.println(JSON.writeValueAsString(answer(trino, JSON.readValue(line, String.class))));
            }
        }
        System.exit(0); // Trino leaves threads
    }

    private static Map<String, Object> answer(LocalQueryRunner trino, String statement)
    {
        MaterializedResult result;
        try {
            boolean large = trino.getDefaultSession().getSchema().orElseThrow().startsWith("sf");
            result = large ? executedWithMemory(trino, statement) : trino.execute(statement);
        }
        catch (RuntimeException error) {
            return Map.of("error", named(error));
        }
        List<Object> rows = new ArrayList<>();
        result.getMaterializedRows().forEach(row -> rows.add(values(row.getFields())));
        return Map.of("types", result.getTypes().stream().map(Object::toString).toList(), "rows", rows);
    }

    /** What LocalQueryRunner.execute does, which leaves a query 256 MB: too little for the joins of the larger schemas. */
    private static MaterializedResult executedWithMemory(LocalQueryRunner trino, String statement)
    {
        Session session = trino.getDefaultSession();
        AtomicReference<MaterializedResult.Builder> rows = new AtomicReference<>();
        OutputFactory output = new PageConsumerOutputFactory(types -> {
            rows.compareAndSet(null, MaterializedResult.resultBuilder(session, types));
            return rows.get()::page;
        });
        TaskContext task = TestingTaskContext.builder(trino.getExecutor(), trino.getScheduler(), session)
                .setQueryMaxMemory(DataSize.of(3, GIGABYTE))
                .setMemoryPoolSize(DataSize.of(4, GIGABYTE))
                .build();
        List<Driver> drivers = trino.createDrivers(session, statement, output, task);
        while (!drivers.stream().allMatch(Driver::isFinished)) {
            drivers.stream().filter(driver -> !driver.isFinished()).forEach(driver -> driver.processForNumberOfIterations(1));
        }
        return rows.get().build();
    }

    private static String named(Throwable error)
    {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof TrinoException known) {
                return known.getErrorCode().getName() + ": " + known.getRawMessage();
            }
            if (cause instanceof ParsingException wrong) {
                return StandardErrorCode.SYNTAX_ERROR + ": " + wrong.getErrorMessage();
            }
        }
        return error.getClass().getSimpleName() + ": " + error.getMessage();
    }

    private static List<Object> values(List<?> fields)
    {
        List<Object> found = new ArrayList<>();
        fields.forEach(field -> found.add(value(field)));
        return found;
    }

    private static Object value(Object value)
    {
        if (value instanceof Double number && !Double.isFinite(number)) {
            return Map.of("f", number.toString());
        }
        if (value == null || value instanceof Boolean || value instanceof String || value instanceof Double
                || value instanceof Long || value instanceof Integer || value instanceof Short || value instanceof Byte) {
            return value;
        }
        if (value instanceof List<?> list) {
            return values(list);
        }
        if (value instanceof Map<?, ?> map) {
            List<Object> pairs = new ArrayList<>();
            map.forEach((key, item) -> pairs.add(values(Arrays.asList(key, item))));
            return Map.of("m", pairs);
        }
        if (value instanceof Float real) {
            return Map.of("r", real.toString());
        }
        if (value instanceof BigDecimal decimal) {
            return Map.of("d", decimal.toPlainString());
        }
        if (value instanceof SqlDecimal decimal) {
            return Map.of("d", decimal.toBigDecimal().toPlainString());
        }
        if (value instanceof byte[] bytes) {
            return Map.of("b", HexFormat.of().formatHex(bytes));
        }
        if (value instanceof SqlVarbinary binary) {
            return Map.of("b", HexFormat.of().formatHex(binary.getBytes()));
        }
        if (value instanceof LocalDateTime time) {
            return Map.of("t", (time.getNano() % 1_000_000 == 0 ? MILLISECONDS : NANOSECONDS).format(time));
        }
        if (value instanceof SqlTimestamp time) {
            return value(time.toLocalDateTime());
        }
        if (value instanceof ZonedDateTime time) {
            return Map.of("t", (time.getNano() % 1_000_000 == 0 ? MILLISECONDS : NANOSECONDS).format(time) + " " + time.getZone());
        }
        if (value instanceof SqlTimestampWithTimeZone time) {
            return value(time.toZonedDateTime());
        }
        if (value instanceof LocalTime time) {
            return Map.of("t", CLOCK.format(time));
        }
        if (value instanceof SqlTime time) {
            return value(LocalTime.ofNanoOfDay(time.getPicos() / 1_000));
        }
        if (value instanceof OffsetTime time) {
            return Map.of("t", CLOCK_WITH_OFFSET.format(time));
        }
        return Map.of("t", value.toString()); // dates, intervals
    }

    private static DateTimeFormatter timeWith(String fraction)
    {
        return DateTimeFormatter.ofPattern("uuuu-MM-dd HH:mm:ss." + fraction, Locale.ROOT);
    }

    private static void writeTables(double scale, Path folder)
            throws Exception
    {
        for (TpchTable<?> table : TpchTable.getTables()) {
            try (BufferedWriter lines = Files.newBufferedWriter(folder.resolve(table.getTableName() + ".tbl"))) {
                for (TpchEntity row : table.createGenerator(scale, 1, 1)) {
                    lines.write(row.toLine());
                    lines.newLine();
                }
            }
        }
    }
}
