{{ staged_texts(source('$name', 'raw')$arguments) }}
